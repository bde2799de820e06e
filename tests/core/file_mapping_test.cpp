#include "elms/detail/file_mapping.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>
#include <vector>

#include "support.hpp"

#if defined(__linux__)
#include <unistd.h>
#endif

namespace {

using elms::StatusCode;
using elms::detail::FileMapping;

std::vector<std::uint8_t> random_bytes(std::size_t n, std::uint32_t salt) {
  std::mt19937 rng = elms_test::make_rng(salt);
  std::vector<std::uint8_t> bytes(n);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(rng());
  return bytes;
}

bool same_bytes(const FileMapping& mapping, const std::vector<std::uint8_t>& expected) {
  return std::ranges::equal(mapping.bytes(), expected);
}

TEST_CASE("file_mapping shows the bytes of the file", "[core][file_mapping]") {
  for (const std::size_t size : {1u, 4095u, 4096u, 4097u, 300000u}) {
    CAPTURE(size);
    const std::vector<std::uint8_t> expected = random_bytes(size, 1);
    const std::string path = elms_test::scratch_path("mapped.bin");
    elms_test::write_bytes(path, expected);
    const auto mapping = FileMapping::open(path);
    REQUIRE_OK(mapping);
    CHECK(mapping->path() == path);
    CHECK(same_bytes(*mapping, expected));
  }
}

TEST_CASE("file_mapping of an empty file is an empty span", "[core][file_mapping]") {
  const std::string path = elms_test::scratch_path("empty.bin");
  elms_test::write_bytes(path, {});
  const auto mapping = FileMapping::open(path);
  REQUIRE_OK(mapping);
  CHECK(mapping->bytes().empty());
  mapping->release(0, 4096);
}

TEST_CASE("file_mapping opens paths that are not ASCII", "[core][file_mapping]") {
  const std::string path = elms_test::scratch_path("модель 模型.bin");
  const std::vector<std::uint8_t> expected = random_bytes(100, 2);
  elms_test::write_bytes(path, expected);
  const auto mapping = FileMapping::open(path);
  REQUIRE_OK(mapping);
  CHECK(same_bytes(*mapping, expected));
}

TEST_CASE("file_mapping says which file is missing", "[core][file_mapping]") {
  for (const char* name : {"absent.bin", "absent_folder/absent.bin"}) {
    const std::string path = elms_test::scratch_path(name);
    const auto mapping = FileMapping::open(path);
    REQUIRE_FALSE(mapping.has_value());
    CHECK(mapping.error().code() == StatusCode::kNotFound);
    CHECK(mapping.error().message().find(path) != std::string::npos);
  }
}

TEST_CASE("file_mapping refuses what is no regular file", "[core][file_mapping]") {
  const std::string folder = std::filesystem::path(elms_test::scratch_path("x")).parent_path().string();
  for (const std::string& path : {folder, std::string("/dev/null")}) {
    const auto mapping = FileMapping::open(path);
    REQUIRE_FALSE(mapping.has_value());
    CHECK(mapping.error().code() == StatusCode::kInvalidArgument);
    CHECK(mapping.error().message().find(path) != std::string::npos);
  }
}

TEST_CASE("file_mapping moves and assigns without losing or leaking a view", "[core][file_mapping]") {
  const std::vector<std::uint8_t> first = random_bytes(5000, 3);
  const std::vector<std::uint8_t> second = random_bytes(7000, 4);
  elms_test::write_bytes(elms_test::scratch_path("first.bin"), first);
  elms_test::write_bytes(elms_test::scratch_path("second.bin"), second);
  auto a = FileMapping::open(elms_test::scratch_path("first.bin"));
  auto b = FileMapping::open(elms_test::scratch_path("second.bin"));
  REQUIRE_OK(a);
  REQUIRE_OK(b);

  FileMapping moved(std::move(*a));
  CHECK(same_bytes(moved, first));
  CHECK(a->bytes().empty());

  moved = std::move(*b);
  CHECK(same_bytes(moved, second));
  CHECK(moved.path() == elms_test::scratch_path("second.bin"));
}

TEST_CASE("file_mapping is read by several threads", "[core][file_mapping][threads]") {
  const std::vector<std::uint8_t> expected = random_bytes(200000, 5);
  const std::string path = elms_test::scratch_path("shared.bin");
  elms_test::write_bytes(path, expected);
  const auto mapping = FileMapping::open(path);
  REQUIRE_OK(mapping);
  std::vector<std::uint8_t> same(4, 0);
  std::vector<std::thread> readers;
  for (std::uint8_t& result : same) {
    readers.emplace_back([&] {
      result = same_bytes(*mapping, expected) ? 1 : 0;
      mapping->release(0, expected.size());
    });
  }
  for (std::thread& reader : readers) reader.join();
  CHECK(same == std::vector<std::uint8_t>(4, 1));
  CHECK(same_bytes(*mapping, expected));
}

TEST_CASE("file_mapping release outside the file does nothing", "[core][file_mapping]") {
  const std::vector<std::uint8_t> expected = random_bytes(10000, 6);
  const std::string path = elms_test::scratch_path("released.bin");
  elms_test::write_bytes(path, expected);
  const auto mapping = FileMapping::open(path);
  REQUIRE_OK(mapping);
  constexpr std::size_t kMax = static_cast<std::size_t>(-1);
  mapping->release(10000, 1);
  mapping->release(kMax, kMax);
  mapping->release(5000, kMax);
  mapping->release(0, 0);
  CHECK(same_bytes(*mapping, expected));
}

#if defined(__linux__)
/// Bytes of the mapping that this process holds in memory, from /proc/self/smaps; -1 where that cannot be told.
long resident_bytes(const FileMapping& mapping) {
  std::ifstream smaps("/proc/self/smaps");
  const auto address = reinterpret_cast<std::uintptr_t>(mapping.bytes().data());
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) inside = begin <= address && address < end;
    long kib = 0;
    if (inside && std::sscanf(line.c_str(), "Rss: %ld kB", &kib) == 1) return kib * 1024;
  }
  return -1;
}

TEST_CASE("file_mapping release drops whole pages from resident memory, and they come back", "[core][file_mapping]") {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  constexpr std::size_t kPages = 64;
  const std::vector<std::uint8_t> expected = random_bytes(kPages * page, 7);
  const std::string path = elms_test::scratch_path("resident.bin");
  elms_test::write_bytes(path, expected);
  const auto mapping = FileMapping::open(path);
  REQUIRE_OK(mapping);
  REQUIRE(same_bytes(*mapping, expected));
  const long before = resident_bytes(*mapping);
  if (before != static_cast<long>(kPages * page)) ELMS_SKIP("/proc/self/smaps does not show resident pages here");

  // From inside the second page to inside the 60th: only the pages that lie wholly between leave.
  mapping->release(page + 1, 58 * page);
  CHECK(resident_bytes(*mapping) == before - static_cast<long>(57 * page));
  CHECK(same_bytes(*mapping, expected));
  CHECK(resident_bytes(*mapping) == before);
}
#endif

}  // namespace
