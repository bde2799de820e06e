// Files that lie. Each must become an error that names the lie, without a crash and without memory for what
// is not there.
#include <algorithm>
#include <filesystem>
#include <iterator>

#include "allocations.hpp"
#include "elms/detail/gguf.hpp"
#include "gguf_bytes.hpp"
#include "support.hpp"
#include "tests/fuzz/touch_gguf.hpp"

using namespace elms;
using namespace elms::detail;
using elms_test::AllocationCounter;
using elms_test::GgufBytes;

namespace {

constexpr std::uint64_t kHuge = ~std::uint64_t{0};
constexpr std::size_t kMessageBytes = 1024;  // what an error message may take beside the file's size

struct Parsed {
  Status status;
  std::size_t largest_allocation = 0;
  bool consistent = true;  // when there is an object
};

Parsed parse(const std::vector<std::uint8_t>& bytes) {
  // In memory of exactly this size, so that a sanitizer sees a read past the end.
  const std::vector<std::uint8_t> exact(bytes.begin(), bytes.end());
  Parsed parsed;
  AllocationCounter counter;
  const Result<GgufFile> file = GgufFile::parse(exact, "mem");
  parsed.largest_allocation = counter.largest();
  parsed.status = file.error();
  if (file.has_value()) parsed.consistent = elms_test::touch_everything(*file);
  return parsed;
}

void require_rejected(const GgufBytes& bytes, StatusCode code, const std::string& message) {
  const Parsed parsed = parse(bytes.bytes());
  REQUIRE(parsed.status.message() == "mem: " + message);
  REQUIRE(parsed.status.code() == code);
  REQUIRE(parsed.largest_allocation <= std::max(bytes.bytes().size(), kMessageBytes));
}
void require_malformed(const GgufBytes& bytes, const std::string& message) {
  require_rejected(bytes, StatusCode::kMalformedFile, message);
}
void require_unsupported(const GgufBytes& bytes, const std::string& message) {
  require_rejected(bytes, StatusCode::kUnsupported, message);
}

}  // namespace

TEST_CASE("gguf_reader rejects a wrong magic and versions it does not know", "[io][gguf]") {
  require_malformed(GgufBytes().raw("ggjt").zeros(40),
                    "header at byte 0: expected the magic 'GGUF', found 'ggjt'");
  require_malformed(GgufBytes()
                        .raw("\x7f"
                             "ELF")
                        .zeros(40),
                    "header at byte 0: expected the magic 'GGUF', found '\\x7fELF'");
  require_malformed(
      GgufBytes().raw("GG"),
      "header at byte 0: expected at least 4 bytes for the magic, found 2 bytes before the end of the file");
  for (const std::uint32_t version : {0u, 1u, 4u, 0x10003u}) {
    require_unsupported(GgufBytes(0, 0, version),
                        "header at byte 4: expected GGUF version 2 or 3, found " + std::to_string(version));
  }
  for (const std::uint32_t version : {0x01000000u, 0x02000000u, 0x03000000u}) {
    require_unsupported(GgufBytes(0, 0, version),
                        "header at byte 4: expected a little-endian file, found a big-endian one");
  }
}

TEST_CASE("gguf_reader rejects absurd counts before it takes memory", "[io][gguf]") {
  require_malformed(
      GgufBytes(0, kHuge).zeros(100),
      "header at byte 24: expected 18446744073709551615 times at least 13 bytes for the metadata values, "
      "found 100 bytes before the end of the file");
  require_malformed(
      GgufBytes(5, 0).zeros(100),
      "header at byte 24: expected 5 times at least 32 bytes for the tensor descriptions, found 100 bytes "
      "before the end of the file");
  require_malformed(GgufBytes(0, 1).array("a", 4, kHuge / 4 + 1).zeros(64),  // times 4 it is 0
                    "key 'a' at byte 49: expected 4611686018427387904 times at least 4 bytes for the values, "
                    "found 64 bytes before the end of the file");
  require_malformed(
      GgufBytes(0, 1).array("a", 8, 9).zeros(64),
      "key 'a' at byte 49: expected 9 times at least 8 bytes for the strings, found 64 bytes before the "
      "end of the file");
  require_malformed(
      GgufBytes(0, 1).array("a", 9, 6).zeros(64),
      "key 'a' at byte 49: expected 6 times at least 12 bytes for the nested arrays, found 64 bytes before "
      "the end of the file");
  require_malformed(
      GgufBytes(0, 1).array("a", 8, 1).number(kHuge).zeros(64),
      "key 'a' at byte 57: expected 18446744073709551615 times at least 1 bytes for the string in an "
      "array, found 64 bytes before the end of the file");
  // Counts that the file could hold, but does not: the tables are as large as the file, and are not made.
  const std::size_t n = 10000;
  const Parsed parsed = parse(GgufBytes(0, n).zeros(13 * n).bytes());
  REQUIRE(parsed.status.code() == StatusCode::kMalformedFile);  // the second key repeats the first, empty one
  const Parsed cut = parse(GgufBytes(0, n).key("k", 8).number(14 * n).zeros(13 * n).bytes());
  REQUIRE(cut.status.code() == StatusCode::kMalformedFile);
  REQUIRE(cut.largest_allocation <= kMessageBytes);
}

TEST_CASE("gguf_reader rejects bad keys", "[io][gguf]") {
  require_malformed(GgufBytes(0, 1).number(65536).zeros(70000),
                    "key at byte 24: expected a name of at most 65535 bytes, found 65536");
  require_malformed(GgufBytes(0, 1).number(kHuge).zeros(64),
                    "key at byte 24: expected a name of at most 65535 bytes, found 18446744073709551615");
  require_malformed(
      GgufBytes(0, 1).number(200).zeros(64),
      "key at byte 32: expected 200 times at least 1 bytes for the name, found 64 bytes before the end of "
      "the file");
  GgufBytes twice(0, 3);
  twice.key("same", 0)
      .number<std::uint8_t>(1)
      .key("other", 0)
      .number<std::uint8_t>(1)
      .key("same", 8)
      .text("x");
  require_malformed(twice, "key 'same' at byte 67: expected every key once, found it before at byte 32");
  const std::string controls(100, '\x1b');
  std::string shown;
  for (int i = 0; i < 80; ++i) shown += "\\x1b";
  require_malformed(GgufBytes(0, 1).key(controls, 13).zeros(8),
                    "key '" + shown + "...' at byte 132: expected its value type to be 0 to 12, found 13");
}

TEST_CASE("gguf_reader rejects bad values", "[io][gguf]") {
  require_malformed(
      GgufBytes(0, 1).key("k", 4).zeros(3),
      "key 'k' at byte 37: expected at least 4 bytes for the value, found 3 bytes before the end "
      "of the file");
  require_malformed(GgufBytes(0, 1).key("flag", 7).number<std::uint8_t>(2),
                    "key 'flag' at byte 40: expected a bool of 0 or 1, found 2");
  GgufBytes bools(0, 1);
  bools.array("flags", 7, 3).number<std::uint8_t>(0).number<std::uint8_t>(1).number<std::uint8_t>(255);
  require_malformed(bools, "key 'flags' at byte 55: expected a bool of 0 or 1, found 255");
  require_malformed(GgufBytes(0, 1).array("k", 99, 1).zeros(8),
                    "key 'k' at byte 37: expected its array element type to be 0 to 12, found 99");
  GgufBytes deep(0, 1);
  deep.array("deep", 9, 1);
  for (int i = 0; i < 8; ++i) deep.number<std::uint32_t>(9).number(1);
  deep.zeros(64);
  require_malformed(deep, "key 'deep' at byte 136: expected arrays nested at most 8 deep, found deeper ones");
}

TEST_CASE("gguf_reader rejects a bad alignment", "[io][gguf]") {
  for (const std::uint32_t alignment : {0u, 3u, 48u, 0xffffffffu}) {
    require_malformed(GgufBytes(0, 1).key("general.alignment", 4).number<std::uint32_t>(alignment),
                      "key 'general.alignment' at byte 53: expected a power of two below 2^32, found " +
                          std::to_string(alignment));
  }
  require_malformed(GgufBytes(0, 1).key("general.alignment", 8).text("32"),
                    "key 'general.alignment' at byte 53: expected an integer below 2^63, found string");
  require_malformed(
      GgufBytes(0, 1).key("general.alignment", 10).number(1ull << 32),
      "key 'general.alignment' at byte 53: expected a power of two below 2^32, found 4294967296");
}

TEST_CASE("gguf_reader rejects bad tensor shapes and types", "[io][gguf]") {
  require_malformed(GgufBytes(1, 0).tensor("t", {}, 0, 0).zeros(64),
                    "tensor 't' at byte 33: expected 1 to 4 dimensions, found 0");
  require_malformed(GgufBytes(1, 0).tensor("t", {1, 1, 1, 1, 1}, 0, 0).zeros(64),
                    "tensor 't' at byte 33: expected 1 to 4 dimensions, found 5");
  require_malformed(GgufBytes(1, 0).tensor("t", {4, 0}, 0, 0).zeros(64),
                    "tensor 't' at byte 45: expected dimension 1 above 0, found 0");
  require_malformed(
      GgufBytes(1, 0).tensor("t", {1ull << 32, 1ull << 32}, 0, 0).zeros(64),
      "tensor 't' at byte 45: expected at most 2^60 elements, found 4294967296 times 4294967296");
  require_malformed(
      GgufBytes(1, 0).tensor("t", {kHuge}, 0, 0).zeros(64),
      "tensor 't' at byte 37: expected at most 2^60 elements, found 1 times 18446744073709551615");
  require_malformed(GgufBytes(1, 0).tensor("t", {33}, 8, 0).zeros(64),
                    "tensor 't' at byte 45: expected rows of a multiple of 32 values for Q8_0, found 33");
  require_malformed(GgufBytes(1, 0).tensor("t", {128, 2}, 12, 0).zeros(300),
                    "tensor 't' at byte 53: expected rows of a multiple of 256 values for Q4_K, found 128");
  const std::string types =
      "expected a tensor type that elms reads (F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q4_K Q5_K "
      "Q6_K), found ";
  require_unsupported(GgufBytes(1, 0).tensor("t", {256}, 23, 0).zeros(64),
                      "tensor 't' at byte 45: " + types + "23 (IQ4_XS)");
  require_unsupported(GgufBytes(1, 0).tensor("t", {256}, 36, 0).zeros(64),
                      "tensor 't' at byte 45: " + types + "36 (unknown)");
  require_unsupported(GgufBytes(1, 0).tensor("t", {256}, 4000000000u, 0).zeros(64),
                      "tensor 't' at byte 45: " + types + "4000000000 (unknown)");
}

TEST_CASE("gguf_reader rejects tensors that lie wrong", "[io][gguf]") {
  const auto one = [](std::uint64_t offset, std::size_t data) {
    return GgufBytes(1, 0).tensor("t", {8}, 0, offset).align().zeros(data);
  };
  require_malformed(one(16, 96),
                    "tensor 't' at byte 49: expected a data offset that is a multiple of 32, found 16");
  require_malformed(one(0, 31),
                    "tensor 't' at byte 49: expected its 32 bytes at data offset 0 (data begins at byte 64) "
                    "to end inside the file, found a file of 95 bytes");
  require_malformed(one(96, 96),
                    "tensor 't' at byte 49: expected its 32 bytes at data offset 96 (data begins at byte "
                    "64) to end inside the file, found a file of 160 bytes");
  require_malformed(one(kHuge - 31, 96),
                    "tensor 't' at byte 49: expected its 32 bytes at data offset "
                    "18446744073709551584 (data begins at byte 64) to end inside the file, found a "
                    "file of 160 bytes");
  require_malformed(
      GgufBytes(1, 0).tensor("t", {1ull << 60}, 0, 0).align().zeros(64),
      "tensor 't' at byte 49: expected its 4611686018427387904 bytes at data offset 0 (data begins at byte "
      "64) to end inside the file, found a file of 128 bytes");
  // The data section itself begins past the end.
  GgufBytes far(1, 1);
  far.key("general.alignment", 4).number<std::uint32_t>(1u << 31).tensor("t", {8}, 0, 0).zeros(64);
  require_malformed(
      far,
      "tensor 't' at byte 82: expected its 32 bytes at data offset 0 (data begins at byte 2147483648) "
      "to end inside the file, found a file of 154 bytes");

  GgufBytes overlap(3, 0);
  overlap.tensor("a", {8}, 0, 64).tensor("b", {16}, 0, 32).tensor("c", {8}, 0, 0).align().zeros(96);
  require_malformed(
      overlap,
      "tensor 'a' at byte 32: expected its data at byte 192 to follow that of tensor 'b', found "
      "that one ending at byte 224");
  GgufBytes same(2, 0);
  same.tensor("a", {8}, 0, 0).tensor("b", {8}, 0, 0).align().zeros(32);
  require_malformed(
      same,
      "tensor 'b' at byte 65: expected its data at byte 96 to follow that of tensor 'a', found that "
      "one ending at byte 128");
  GgufBytes by_one_byte(2, 1);
  by_one_byte.key("general.alignment", 4).number<std::uint32_t>(1);
  by_one_byte.tensor("a", {8}, 0, 0).tensor("b", {8}, 0, 31).zeros(63);
  require_malformed(by_one_byte,
                    "tensor 'b' at byte 98: expected its data at byte 154 to follow that of tensor 'a', "
                    "found that one ending at byte 155");
  GgufBytes twice(2, 0);
  twice.tensor("t", {8}, 0, 0).tensor("t", {8}, 0, 32).align().zeros(64);
  require_malformed(twice, "tensor 't' at byte 65: expected every name once, found it before at byte 32");
}

TEST_CASE("gguf_reader rejects a file cut at any byte", "[io][gguf]") {
  const std::vector<std::uint8_t> whole = elms_test::small_model().bytes();
  REQUIRE(parse(whole).status.ok());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    const Parsed parsed = parse({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
    REQUIRE(parsed.status.code() == StatusCode::kMalformedFile);
    REQUIRE(parsed.status.message().find("mem: ") == 0);
    REQUIRE(parsed.status.message().find(" at byte ") != std::string::npos);
    REQUIRE(parsed.status.message().find(": expected ") != std::string::npos);
    REQUIRE(parsed.status.message().find(", found ") != std::string::npos);
    REQUIRE(parsed.largest_allocation <= std::max(size, kMessageBytes));
  }
}

TEST_CASE("gguf_reader survives a change of any bit of any header byte", "[io][gguf]") {
  std::vector<std::uint8_t> bytes = elms_test::small_model().bytes();
  const std::size_t header_bytes = bytes.size() - (512 + 210);
  constexpr int kChanges[] = {1, 2, 4, 8, 16, 32, 64, 128, 255};
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < header_bytes; ++i) {
    const std::uint8_t original = bytes[i];
    for (const int change : kChanges) {
      bytes[i] = static_cast<std::uint8_t>(original ^ change);
      const Parsed parsed = parse(bytes);
      CAPTURE(i, change);
      if (!parsed.consistent || parsed.largest_allocation > bytes.size() ||
          (!parsed.status.ok() && parsed.status.message().find("mem: ") != 0)) {
        FAIL(parsed.status.message());
      }
      accepted += parsed.status.ok();
    }
    bytes[i] = original;
  }
  // Letters of names and numbers in values may change freely; that is about half of this header.
  REQUIRE(accepted > header_bytes * std::size(kChanges) / 4);
  REQUIRE(accepted < header_bytes * std::size(kChanges) * 3 / 4);
}

TEST_CASE("gguf_reader takes or refuses every file of the fuzzer's corpus", "[io][gguf]") {
  std::size_t n_files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(ELMS_TEST_DATA_DIR) + "/../fuzz/corpus/gguf")) {
    CAPTURE(entry.path().string());
    REQUIRE(parse(elms_test::read_bytes(entry.path().string())).consistent);
    ++n_files;
  }
  REQUIRE(n_files >= 3);
}
