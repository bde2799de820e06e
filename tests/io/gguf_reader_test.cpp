#include <cstring>
#include <filesystem>
#include <system_error>

#include "elms/detail/gguf.hpp"
#include "gguf_bytes.hpp"
#include "support.hpp"
#include "tests/fuzz/touch_gguf.hpp"

using namespace elms;
using namespace elms::detail;
using elms_test::GgufBytes;

namespace {

GgufFile parse(const GgufBytes& file) {
  Result<GgufFile> parsed = GgufFile::parse(file.bytes(), "mem");
  REQUIRE_OK(parsed);
  return *std::move(parsed);
}

}  // namespace

TEST_CASE("gguf_reader finds the tensors of a file where they lie", "[io][gguf]") {
  const GgufBytes bytes = elms_test::small_model();
  const GgufFile file = parse(bytes);
  REQUIRE(file.name() == "mem");
  REQUIRE(file.version() == 3);
  REQUIRE(file.alignment() == 64);
  REQUIRE(file.file_bytes() == bytes.bytes().size());
  REQUIRE(file.values().size() == 18);
  REQUIRE(file.tensors().size() == 5);

  const std::uint8_t* data = bytes.bytes().data() + bytes.bytes().size() - (512 + 210);
  const GgufTensor* down = file.find_tensor("blk.0.ffn_down.weight");
  REQUIRE(down != nullptr);
  REQUIRE(down->type == DType::kQ4_0);
  REQUIRE(down->n_dims == 3);
  REQUIRE(down->cols() == 64);
  REQUIRE(down->rows() == 2);
  REQUIRE(down->dims[3] == 1);
  REQUIRE(down->data.data() == data + 320);
  REQUIRE(down->data.size() == 72);
  REQUIRE(file.tensors()[0].name == "token_embd.weight");  // in the file's order
  REQUIRE(file.tensors()[0].data.data() == data);
  REQUIRE(file.find_tensor("blk.0.ffn_dow") == nullptr);
  REQUIRE(file.find_tensor("") == nullptr);
  REQUIRE(elms_test::touch_everything(file));
}

TEST_CASE("gguf_reader keeps values as they lie in the file", "[io][gguf]") {
  const GgufBytes bytes = elms_test::small_model();
  const GgufFile file = parse(bytes);
  const GgufValue* nested = file.find("a.nested");
  REQUIRE(nested != nullptr);
  REQUIRE(nested->type == GgufType::kArray);
  REQUIRE(nested->element_type == GgufType::kArray);
  REQUIRE(nested->count == 2);
  REQUIRE(nested->bytes.size() == (4 + 8 + 8 + 2 + 8 + 4) + (4 + 8 + 4 + 8 + 4));
  const GgufValue* name = file.find("general.architecture");
  REQUIRE(name->bytes.size() == 8 + 5);
  REQUIRE(name->count == 1);
  REQUIRE(file.offset_of(name->bytes.data()) == 24 + 8 + 20 + 4);
  const GgufValue* empty = file.find("a.empty");
  REQUIRE(empty->count == 0);
  REQUIRE(empty->bytes.empty());
  REQUIRE(file.values()[13].key == "tokenizer.ggml.tokens");
}

TEST_CASE("gguf_reader reads versions 2 and 3 and an empty file", "[io][gguf]") {
  for (const std::uint32_t version : {2u, 3u}) {
    const GgufFile file = parse(GgufBytes(0, 0, version));
    REQUIRE(file.version() == version);
    REQUIRE(file.alignment() == 32);
    REQUIRE(file.values().empty());
    REQUIRE(file.tensors().empty());
    REQUIRE(file.find("general.name") == nullptr);
  }
}

TEST_CASE("gguf_reader takes any order and gaps of tensor data, and padding at the end", "[io][gguf]") {
  GgufBytes bytes(3, 0);
  bytes.tensor("c", {4}, 0, 96).tensor("a", {4}, 0, 0).tensor("b", {4}, 0, 32).align().zeros(200);
  const GgufFile file = parse(bytes);
  REQUIRE(file.find_tensor("c")->data.data() == file.find_tensor("a")->data.data() + 96);
  REQUIRE(elms_test::touch_everything(file));
}

TEST_CASE("gguf_reader takes keys that are no UTF-8, empty or long", "[io][gguf]") {
  const std::string longest(65535, 'k');
  GgufBytes bytes(0, 3);
  bytes.key("\xff\xfe\x01", 0).number<std::uint8_t>(1);
  bytes.key("", 0).number<std::uint8_t>(2);
  bytes.key(longest, 0).number<std::uint8_t>(3);
  const GgufFile file = parse(bytes);
  REQUIRE(*file.integer("\xff\xfe\x01") == 1);
  REQUIRE(*file.integer("") == 2);
  REQUIRE(*file.integer(longest) == 3);
}

TEST_CASE("gguf_reader takes arrays nested eight deep", "[io][gguf]") {
  GgufBytes bytes(0, 2);
  bytes.array("deep", 9, 1);
  for (int i = 0; i < 6; ++i) bytes.number<std::uint32_t>(9).number(1);
  bytes.number<std::uint32_t>(0).number(1).number<std::uint8_t>(42);
  bytes.key("after", 0).number<std::uint8_t>(7);
  const GgufFile file = parse(bytes);
  REQUIRE(*file.integer("after") == 7);
}

TEST_CASE("gguf_reader gives integers of every width where they fit", "[io][gguf]") {
  const GgufBytes bytes = elms_test::small_model();
  const GgufFile file = parse(bytes);
  REQUIRE(*file.integer("v.uint8") == 200);
  REQUIRE(*file.integer("v.int8") == -100);
  REQUIRE(*file.integer("v.uint16") == 60000);
  REQUIRE(*file.integer("v.int16") == -30000);
  REQUIRE(*file.integer("v.uint32") == 4000000000);
  REQUIRE(*file.integer("v.int32") == -2000000000);
  REQUIRE(*file.integer("v.int64") == -(std::int64_t{1} << 62));
  REQUIRE(file.integer("v.uint64").error().code() == StatusCode::kMalformedFile);  // above 2^63 - 1
  REQUIRE(*file.integers("v.int8") == std::vector<std::int64_t>{-100});
  REQUIRE(file.integers("v.uint64").error().code() == StatusCode::kMalformedFile);
  REQUIRE(file.integers("a.empty")->empty());
}

TEST_CASE("gguf_reader gives reals, bools and strings", "[io][gguf]") {
  const GgufBytes bytes = elms_test::small_model();
  const GgufFile file = parse(bytes);
  REQUIRE(*file.real("v.float32") == static_cast<double>(0.1f));
  REQUIRE(*file.real("v.float64") == 1e300);
  REQUIRE(*file.reals("tokenizer.ggml.scores") == std::vector<float>{0, -1.5f, 2});
  REQUIRE(*file.reals("v.float32") == std::vector<float>{0.1f});
  REQUIRE(file.reals("v.float64").error().code() == StatusCode::kMalformedFile);  // no float holds 1e300
  REQUIRE(*file.boolean("v.true"));
  REQUIRE(*file.string("general.architecture") == "llama");
  REQUIRE(*file.strings("tokenizer.ggml.tokens") ==
          std::vector<std::string_view>{"<s>", "", "\xe2\x96\x81hello"});
  REQUIRE(*file.strings("general.architecture") == std::vector<std::string_view>{"llama"});
}

TEST_CASE("gguf_reader names file, key, place and types when a value is not what was asked for",
          "[io][gguf]") {
  const GgufBytes bytes = elms_test::small_model();
  const GgufFile file = parse(bytes);
  const auto at = [&](const char* key) {
    return std::to_string(file.offset_of(file.find(key)->bytes.data()));
  };
  struct Expected {
    Status found;
    StatusCode code;
    std::string message;
  };
  const Expected all[] = {
      {file.integer("nothing").error(), StatusCode::kNotFound, "mem: key 'nothing' is missing"},
      {file.strings("no\nthing").error(), StatusCode::kNotFound, "mem: key 'no\\x0athing' is missing"},
      {file.integer("v.float32").error(), StatusCode::kMalformedFile,
       "mem: key 'v.float32' at byte " + at("v.float32") + ": expected an integer below 2^63, found float32"},
      {file.real("v.uint8").error(), StatusCode::kMalformedFile,
       "mem: key 'v.uint8' at byte " + at("v.uint8") + ": expected a float32 or float64, found uint8"},
      {file.boolean("v.uint8").error(), StatusCode::kMalformedFile,
       "mem: key 'v.uint8' at byte " + at("v.uint8") + ": expected a bool, found uint8"},
      {file.string("tokenizer.ggml.tokens").error(), StatusCode::kMalformedFile,
       "mem: key 'tokenizer.ggml.tokens' at byte " + at("tokenizer.ggml.tokens") +
           ": expected a string, found an array of 3 string"},
      {file.integers("tokenizer.ggml.tokens").error(), StatusCode::kMalformedFile,
       "mem: key 'tokenizer.ggml.tokens' at byte " + at("tokenizer.ggml.tokens") +
           ": expected integers below 2^63, found an array of 3 string"},
      {file.strings("a.nested").error(), StatusCode::kMalformedFile,
       "mem: key 'a.nested' at byte " + at("a.nested") + ": expected strings, found an array of 2 array"},
  };
  for (const Expected& expected : all) {
    REQUIRE(expected.found.message() == expected.message);
    REQUIRE(expected.found.code() == expected.code);
  }
  REQUIRE(file.integers("a.nested").error().code() == StatusCode::kMalformedFile);
  REQUIRE(file.reals("a.bools").error().code() == StatusCode::kMalformedFile);
}

TEST_CASE("gguf_reader opens files, survives a move, and names what it cannot open", "[io][gguf]") {
  const std::string path = elms_test::scratch_path("small.gguf");
  elms_test::write_bytes(path, elms_test::small_model().bytes());
  Result<GgufFile> opened = GgufFile::open(path);
  REQUIRE_OK(opened);
  GgufFile moved = *std::move(opened);
  REQUIRE(moved.name() == path);
  REQUIRE(elms_test::touch_everything(moved));
  const GgufTensor* tensor = moved.find_tensor("token_embd.weight");
  const std::vector<std::uint8_t> before(tensor->data.begin(), tensor->data.end());
  moved.release(tensor->data);  // a hint: the bytes come back from the file
  REQUIRE(std::memcmp(before.data(), tensor->data.data(), before.size()) == 0);

  const Status missing = GgufFile::open(path + ".no").error();
  REQUIRE(missing.code() == StatusCode::kNotFound);
  REQUIRE(missing.message().find(path + ".no") == 0);
  REQUIRE(GgufFile::open(elms_test::scratch_path(".")).error().code() == StatusCode::kInvalidArgument);

  elms_test::write_bytes(path + ".empty", {});
  const Status empty = GgufFile::open(path + ".empty").error();
  REQUIRE(empty.code() == StatusCode::kMalformedFile);
  REQUIRE(empty.message().find(path + ".empty: header at byte 0: expected") == 0);
}

TEST_CASE("gguf_reader finds tensors beyond 4 GiB", "[io][gguf]") {
  constexpr std::uint64_t kFar = (std::uint64_t{5} << 30) + 64;
  GgufBytes bytes(2, 0);
  bytes.tensor("big", {1 << 20, 1280}, 0, 0).tensor("far", {8}, 0, kFar).align();
  const std::uint64_t data_begin = bytes.bytes().size();
  const std::string path = elms_test::scratch_path("far.gguf");
  elms_test::write_bytes(path, bytes.bytes());
  std::error_code failed;
  std::filesystem::resize_file(path, data_begin + kFar + 32, failed);  // a hole: takes no room on the disk
  if (failed) ELMS_SKIP("no sparse file of 5 GiB here: " << failed.message());
  const Result<GgufFile> file = GgufFile::open(path);
  REQUIRE_OK(file);
  REQUIRE(file->find_tensor("big")->data.size() == std::uint64_t{5} << 30);
  REQUIRE(file->offset_of(file->find_tensor("far")->data.data()) == data_begin + kFar);
  REQUIRE(file->find_tensor("far")->data[31] == 0);
  std::filesystem::remove(path);
}
