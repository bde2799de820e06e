#include <algorithm>
#include <cstring>
#include <filesystem>

#include "elms/detail/error.hpp"
#include "elms/detail/gguf.hpp"
#include "gguf_bytes.hpp"
#include "support.hpp"

#if !defined(_WIN32)
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#endif

using namespace elms;
using namespace elms::detail;
namespace fs = std::filesystem;

namespace {

using Dims = std::vector<std::uint64_t>;

/// A directory of its own for one test case, so that it can look at what was left behind.
std::string fresh_dir(const char* name) {
  const std::string path = elms_test::scratch_path(name);
  fs::create_directories(path);
  return path;
}

std::vector<std::string> files_in(const std::string& dir) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(dir)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

bool same_bytes(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

GgufFile open(const std::string& path) {
  Result<GgufFile> file = GgufFile::open(path);
  REQUIRE_OK(file);
  return *std::move(file);
}

Status copy(const GgufFile& from, const std::string& to, std::size_t piece_bytes) {
  GgufWriter writer;
  for (const GgufValue& value : from.values()) writer.set(value);
  for (const GgufTensor& tensor : from.tensors()) {
    ELMS_RETURN_IF_ERROR(writer.add_tensor(tensor.name, tensor.type, {tensor.dims, tensor.n_dims}));
  }
  ELMS_RETURN_IF_ERROR(writer.begin(to));
  for (const GgufTensor& tensor : from.tensors()) {
    for (std::size_t at = 0; at < tensor.data.size(); at += piece_bytes) {
      ELMS_RETURN_IF_ERROR(
          writer.write(tensor.data.subspan(at, std::min(piece_bytes, tensor.data.size() - at))));
    }
  }
  return writer.finish();
}

void require_same(const GgufFile& a, const GgufFile& b) {
  REQUIRE(a.alignment() == b.alignment());
  REQUIRE(a.values().size() == b.values().size());
  for (std::size_t i = 0; i < a.values().size(); ++i) {
    const GgufValue& left = a.values()[i];
    const GgufValue& right = b.values()[i];
    CAPTURE(left.key);
    REQUIRE(left.key == right.key);
    REQUIRE(left.type == right.type);
    REQUIRE(left.element_type == right.element_type);
    REQUIRE(left.count == right.count);
    REQUIRE(same_bytes(left.bytes, right.bytes));
  }
  REQUIRE(a.tensors().size() == b.tensors().size());
  for (std::size_t i = 0; i < a.tensors().size(); ++i) {
    const GgufTensor& left = a.tensors()[i];
    const GgufTensor& right = b.tensors()[i];
    CAPTURE(left.name);
    REQUIRE(left.name == right.name);
    REQUIRE(left.type == right.type);
    REQUIRE(left.n_dims == right.n_dims);
    REQUIRE(std::equal(left.dims, left.dims + 4, right.dims));
    REQUIRE(same_bytes(left.data, right.data));
  }
}

void require_error(const Status& status, StatusCode code, const std::string& part) {
  CAPTURE(status.message());
  REQUIRE(status.code() == code);
  REQUIRE(status.message().find(part) != std::string::npos);
}

/// One F32 tensor of eight values, begun but not written.
GgufWriter begun(const std::string& path) {
  GgufWriter writer;
  writer.set("k", true);
  REQUIRE_OK(writer.add_tensor("t", DType::kF32, Dims{8}));
  REQUIRE_OK(writer.begin(path));
  return writer;
}

const std::vector<std::uint8_t> kTensorBytes(32, 7);

}  // namespace

TEST_CASE("gguf_writer copies a file of every value type byte for byte", "[io][gguf]") {
  const std::vector<std::uint8_t> original = elms_test::small_model().align(64).bytes();
  const Result<GgufFile> file = GgufFile::parse(original, "mem");
  REQUIRE_OK(file);
  for (const std::size_t piece_bytes : {std::size_t{1}, std::size_t{7}, original.size()}) {
    const std::string path = elms_test::scratch_path("copy.gguf");
    REQUIRE_OK(copy(*file, path, piece_bytes));
    REQUIRE(same_bytes(elms_test::read_bytes(path), original));
  }
}

TEST_CASE("gguf_writer copies real files", "[io][gguf]") {
  std::vector<std::string> paths;
  for (const char* folder : {"models", "tokenizers/ggml-vocab"}) {
    ELMS_REQUIRE_SHARED(dir, folder);
    for (const auto& entry : fs::directory_iterator(dir)) {
      if (entry.path().extension() == ".gguf") paths.push_back(entry.path().string());
    }
  }
  REQUIRE_FALSE(paths.empty());
  for (const std::string& path : paths) {
    CAPTURE(path);
    const GgufFile original = open(path);
    const std::string copied = elms_test::scratch_path("real.gguf");
    REQUIRE_OK(copy(original, copied, 100000));
    require_same(original, open(copied));
  }
}

TEST_CASE("gguf_writer writes each type of value", "[io][gguf]") {
  const std::string path = elms_test::scratch_path("values.gguf");
  GgufWriter writer;
  writer.set("bool", true);
  writer.set("u32", std::uint32_t{4000000000});
  writer.set("i32", std::int32_t{-5});
  writer.set("u64", std::uint64_t{1} << 40);
  writer.set("f32", 0.25f);
  writer.set("text", "hello");
  writer.set("none", "");
  writer.set("u32s", std::vector<std::uint32_t>{1, 2, 3});
  writer.set("i32s", std::vector<std::int32_t>{-1, 0});
  writer.set("f32s", std::vector<float>{1.5f});
  writer.set("texts", std::vector<std::string_view>{"a", "", "ccc"});
  writer.set("empty", std::vector<std::string_view>{});
  REQUIRE_OK(writer.begin(path));
  REQUIRE_OK(writer.finish());

  const GgufFile file = open(path);
  REQUIRE(file.version() == 3);
  REQUIRE(file.file_bytes() % 32 == 0);
  REQUIRE(*file.boolean("bool"));
  REQUIRE(*file.integer("u32") == 4000000000);
  REQUIRE(file.find("u32")->type == GgufType::kUint32);
  REQUIRE(*file.integer("i32") == -5);
  REQUIRE(*file.integer("u64") == std::int64_t{1} << 40);
  REQUIRE(*file.real("f32") == 0.25);
  REQUIRE(*file.string("text") == "hello");
  REQUIRE(file.string("none")->empty());
  REQUIRE(*file.integers("u32s") == std::vector<std::int64_t>{1, 2, 3});
  REQUIRE(*file.integers("i32s") == std::vector<std::int64_t>{-1, 0});
  REQUIRE(*file.reals("f32s") == std::vector<float>{1.5f});
  REQUIRE(*file.strings("texts") == std::vector<std::string_view>{"a", "", "ccc"});
  REQUIRE(file.strings("empty")->empty());
}

TEST_CASE("gguf_writer replaces a value in place and erases", "[io][gguf]") {
  const std::string path = elms_test::scratch_path("replace.gguf");
  GgufWriter writer;
  writer.set("a", "first");
  writer.set("b", std::uint32_t{1});
  writer.set("c", 1.0f);
  writer.set("d", std::uint32_t{4});
  writer.set("a", std::uint32_t{7});
  writer.erase("b");
  writer.erase("nothing");
  writer.set("d", "last");
  writer.set("b", false);
  REQUIRE_OK(writer.begin(path));
  REQUIRE_OK(writer.finish());
  const GgufFile file = open(path);
  std::vector<std::string_view> keys;
  for (const GgufValue& value : file.values()) keys.push_back(value.key);
  REQUIRE(keys == std::vector<std::string_view>{"a", "c", "d", "b"});
  REQUIRE(*file.integer("a") == 7);
  REQUIRE(*file.string("d") == "last");
  REQUIRE_FALSE(*file.boolean("b"));
}

TEST_CASE("gguf_writer aligns every tensor to the alignment it declares", "[io][gguf]") {
  for (const std::uint32_t alignment : {1u, 8u, 32u, 16384u}) {
    const std::string path = elms_test::scratch_path("aligned.gguf");
    GgufWriter writer;
    writer.set("general.alignment", alignment);
    for (const char* name : {"a", "b", "c"}) REQUIRE_OK(writer.add_tensor(name, DType::kF16, Dims{5, 3}));
    REQUIRE_OK(writer.begin(path));
    for (std::uint8_t i = 1; i <= 3; ++i) REQUIRE_OK(writer.write(std::vector<std::uint8_t>(30, i)));
    REQUIRE_OK(writer.finish());
    const GgufFile file = open(path);
    REQUIRE(file.alignment() == alignment);
    REQUIRE(file.file_bytes() % alignment == 0);
    for (std::uint8_t i = 1; i <= 3; ++i) {
      REQUIRE(file.offset_of(file.tensors()[i - 1u].data.data()) % alignment == 0);
      REQUIRE(same_bytes(file.tensors()[i - 1u].data, std::vector<std::uint8_t>(30, i)));
    }
  }
}

TEST_CASE("gguf_writer refuses what no reader would take", "[io][gguf]") {
  const std::string path = elms_test::scratch_path("never.gguf");
  const auto add = [](const char* name, DType type, const Dims& dims) {
    GgufWriter writer;
    REQUIRE_OK(writer.add_tensor("t", DType::kF32, Dims{8}));
    return writer.add_tensor(name, type, dims);
  };
  require_error(add("t", DType::kF32, {8}), StatusCode::kInvalidArgument, "tensor 't': was added before");
  require_error(add("u", DType::kQ4_0, {40, 2}), StatusCode::kInvalidArgument,
                "tensor 'u': expected rows of a multiple of 32 values for Q4_0, found 40");
  require_error(add("u", DType::kF32, {}), StatusCode::kInvalidArgument,
                "expected 1 to 4 dimensions, found 0");
  require_error(add("u", DType::kF32, {1, 1, 1, 1, 1}), StatusCode::kInvalidArgument, "dimensions, found 5");
  require_error(add("u", DType::kF32, {3, 0}), StatusCode::kInvalidArgument, "found dimension 0");
  require_error(add("u", DType::kF32, {1ull << 40, 1ull << 40}), StatusCode::kInvalidArgument,
                "at most 2^60 elements");
  require_error(add("u", DType::kF32, {1ull << 60}), StatusCode::kInvalidArgument, "larger than 2^62 bytes");
  require_error(add(std::string(65536, 'n').c_str(), DType::kF32, {1}), StatusCode::kInvalidArgument,
                "found 65536");

  const auto begin_with = [&](auto key, auto value) {
    GgufWriter writer;
    writer.set(key, value);
    return writer.begin(path);
  };
  require_error(begin_with("general.alignment", std::uint32_t{24}), StatusCode::kInvalidArgument,
                "power of two");
  require_error(begin_with("general.alignment", std::uint64_t{32}), StatusCode::kInvalidArgument, "uint32");
  require_error(begin_with(std::string(65536, 'k'), true), StatusCode::kInvalidArgument, "found 65536");
  REQUIRE_FALSE(fs::exists(path));
}

TEST_CASE("gguf_writer refuses too many bytes and missing ones", "[io][gguf]") {
  const std::string dir = fresh_dir("counts");
  {
    GgufWriter writer = begun(dir + "/long.gguf");
    REQUIRE_OK(writer.write(std::vector<std::uint8_t>(20)));
    require_error(writer.write(std::vector<std::uint8_t>(13)), StatusCode::kInvalidArgument,
                  "long.gguf: tensor 't': expected 12 more bytes of 32, got 13");
    require_error(writer.finish(), StatusCode::kInvalidArgument,
                  "expected 12 more bytes");  // it stays failed
  }
  {
    GgufWriter writer = begun(dir + "/more.gguf");
    REQUIRE_OK(writer.write(kTensorBytes));
    REQUIRE_OK(writer.write({}));
    require_error(writer.write(std::vector<std::uint8_t>(1)), StatusCode::kInvalidArgument,
                  "after the last tensor");
  }
  {
    GgufWriter writer = begun(dir + "/short.gguf");
    REQUIRE_OK(writer.write(std::vector<std::uint8_t>(31)));
    require_error(writer.finish(), StatusCode::kInvalidArgument,
                  "tensor 't' is incomplete: expected 32 bytes, got 31");
  }
  REQUIRE(files_in(dir).empty());
}

TEST_CASE("gguf_writer refuses calls in the wrong order", "[io][gguf]") {
  const std::string path = elms_test::scratch_path("order.gguf");
  GgufWriter early;
  require_error(early.write(kTensorBytes), StatusCode::kInvalidArgument,
                "write() is only possible between begin()");
  GgufWriter unbegun;
  require_error(unbegun.finish(), StatusCode::kInvalidArgument, "finish() is only possible between begin()");
  GgufWriter late = begun(path);
  require_error(late.add_tensor("u", DType::kF32, Dims{1}), StatusCode::kInvalidArgument,
                "add_tensor() is only");
  GgufWriter again = begun(path);
  require_error(again.begin(path), StatusCode::kInvalidArgument, "begin() is only possible before begin()");
  GgufWriter set_late = begun(path);
  set_late.set("k", false);
  require_error(set_late.write(kTensorBytes), StatusCode::kInvalidArgument,
                "set() is only possible before begin()");
  GgufWriter done = begun(path);
  REQUIRE_OK(done.write(kTensorBytes));
  REQUIRE_OK(done.finish());
  require_error(done.finish(), StatusCode::kInvalidArgument, "finish() is only possible");
}

TEST_CASE("gguf_writer shows the target only when it is complete", "[io][gguf]") {
  const std::string dir = fresh_dir("atomic");
  const std::string path = dir + "/model.gguf";
  const std::vector<std::uint8_t> old = {'o', 'l', 'd'};
  elms_test::write_bytes(path, old);
  {
    GgufWriter writer = begun(path);
    REQUIRE_OK(writer.write(std::vector<std::uint8_t>(8)));
    REQUIRE(elms_test::read_bytes(path) == old);
    REQUIRE(files_in(dir) == std::vector<std::string>{"model.gguf", "model.gguf.partial"});
  }
  REQUIRE(files_in(dir) == std::vector<std::string>{"model.gguf"});  // abandoned: removed
  REQUIRE(elms_test::read_bytes(path) == old);

  GgufWriter first = begun(path);
  GgufWriter second = begun(path);  // two at once do not share a partial file
  GgufWriter moved = std::move(first);
  REQUIRE_OK(moved.write(kTensorBytes));
  REQUIRE_OK(moved.finish());
  REQUIRE(same_bytes(open(path).find_tensor("t")->data, kTensorBytes));
  second = GgufWriter();  // assigning over an unfinished writer abandons it
  REQUIRE(files_in(dir) == std::vector<std::string>{"model.gguf"});
}

TEST_CASE("gguf_writer may replace the file that it copies from", "[io][gguf]") {
  const std::string path = elms_test::scratch_path("self.gguf");
  elms_test::write_bytes(path, elms_test::small_model().bytes());
  const GgufFile original = open(path);
  REQUIRE_OK(copy(original, path, 50));
  require_same(original, open(path));
}

TEST_CASE("gguf_writer reports where it cannot write", "[io][gguf]") {
  const std::string dir = fresh_dir("refused");
  const auto begin = [](const std::string& path) {
    GgufWriter writer;
    return writer.begin(path);
  };
  require_error(begin(dir + "/missing/model.gguf"), StatusCode::kIoError, "missing/model.gguf");
  elms_test::write_bytes(dir + "/file", {1});
  require_error(begin(dir + "/file/model.gguf"), StatusCode::kIoError, "cannot create");
  require_error(begin(dir), StatusCode::kInvalidArgument, "not a regular file");
#if !defined(_WIN32)
  require_error(begin("/dev/null"), StatusCode::kInvalidArgument,
                "/dev/null: exists and is not a regular file");
#endif
  require_error(begin(""), StatusCode::kInvalidArgument, "empty");
}

#if !defined(_WIN32)
TEST_CASE("gguf_writer reports a directory without permission", "[io][gguf]") {
  if (::geteuid() == 0) ELMS_SKIP("root may write everywhere");
  const std::string dir = fresh_dir("readonly");
  fs::permissions(dir, fs::perms::owner_read | fs::perms::owner_exec);
  GgufWriter writer;
  const Status status = writer.begin(dir + "/model.gguf");
  fs::permissions(dir, fs::perms::owner_all);
  require_error(status, StatusCode::kIoError, "Permission denied");
}

TEST_CASE("gguf_writer reports a full disk and leaves nothing", "[io][gguf]") {
  const std::string dir = fresh_dir("full");
  const std::string path = dir + "/model.gguf";
  const std::vector<std::uint8_t> rows(1 << 20);
  // A limit on the size of files stands for the end of a disk; without the handler its signal would end the
  // process.
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old_limit) == 0);
  rlimit limit = old_limit;
  limit.rlim_cur = 1 << 20;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  Status status;
  {
    GgufWriter writer;
    status = writer.add_tensor("t", DType::kF32, Dims{1 << 18, 4});
    if (status.ok()) status = writer.begin(path);
    for (int i = 0; i < 4 && status.ok(); ++i) status = writer.write(rows);
    if (status.ok()) status = writer.finish();
  }
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  require_error(status, StatusCode::kIoError, "model.gguf: cannot write");
  REQUIRE(files_in(dir).empty());
}
#endif
