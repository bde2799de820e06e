#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "hf_writer.hpp"
#include "io/safetensors.hpp"
#include "support.hpp"
#include "tests/fuzz/touch_checkpoint.hpp"

using namespace elms;
using namespace elms::detail;
using namespace elms_test;

namespace {

std::vector<HfTensor> two_tensors() {
  return {{"a", "F32", {2, 3}, std::vector<std::uint8_t>(24, 7)},
          {"b", "BF16", {4}, std::vector<std::uint8_t>(8, 9)}};
}

/// Parses a header over `n_data` bytes of data, in memory of exactly that size, so that a sanitizer sees a
/// read past it.
Status parse_header(const std::string& header, std::size_t n_data) {
  const std::vector<std::uint8_t> bytes = safetensors_file(header, std::vector<std::uint8_t>(n_data));
  return SafetensorsFile::parse(bytes, "test.safetensors").error();
}

void require_malformed(const Status& status, const std::string& part) {
  INFO(status.message());
  REQUIRE(status.code() == StatusCode::kMalformedFile);
  REQUIRE(status.message().find("test.safetensors") != std::string::npos);
  REQUIRE(status.message().find(part) != std::string::npos);
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

}  // namespace

TEST_CASE("safetensors reader finds every tensor", "[io][safetensors]") {
  const std::vector<HfTensor> tensors = two_tensors();
  const std::vector<std::uint8_t> bytes = safetensors_file(tensors);
  const auto file = SafetensorsFile::parse(bytes, "test.safetensors");
  REQUIRE_OK(file);
  REQUIRE(file->tensors().size() == 2);
  REQUIRE(file->file_bytes() == bytes.size());
  for (std::size_t i = 0; i < 2; ++i) {
    const StoredTensor& tensor = file->tensors()[i];
    REQUIRE(tensor.name == tensors[i].name);
    REQUIRE(tensor.type_name == tensors[i].dtype);
    REQUIRE(tensor.shape == tensors[i].shape);
    REQUIRE(std::vector<std::uint8_t>(tensor.data.begin(), tensor.data.end()) == tensors[i].bytes);
  }
  REQUIRE(file->tensors()[0].type == DType::kF32);
  REQUIRE(file->tensors()[1].type == DType::kBF16);
}

TEST_CASE("safetensors reader accepts what the format allows", "[io][safetensors]") {
  const std::string a = entry("F32", "[1]", "[4,8]"), b = entry("I64", "[]", "[8,16]"),
                    c = entry("U8", "[0,5]", "[4,4]");
  REQUIRE_OK(parse_header("{}", 0));
  REQUIRE_OK(parse_header("{}      ", 0));  // padded with spaces
  REQUIRE_OK(parse_header(R"({"__metadata__":{}})", 0));
  // In any order, scalars, empty tensors, types that elms does not compute with or does not know.
  REQUIRE_OK(parse_header(
      R"({"b":)" + b + R"(,"a":)" + a + R"(,"c":)" + c + R"(,"d":)" + entry("F4", "[8]", "[0,4]") + "}", 16));
  REQUIRE_OK(parse_header(R"({"a":{"data_offsets":[0,2],"shape":[1],"dtype":"F16"}})", 2));
}

TEST_CASE("safetensors reader rejects truncation at every byte", "[io][safetensors]") {
  const std::vector<std::uint8_t> whole = safetensors_file(two_tensors());
  REQUIRE_OK(SafetensorsFile::parse(whole, "test.safetensors"));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO("first " << size << " of " << whole.size() << " bytes");
    const std::vector<std::uint8_t> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const auto file = SafetensorsFile::parse(part, "test.safetensors");
    REQUIRE(file.error().code() == StatusCode::kMalformedFile);
  }
}

TEST_CASE("safetensors reader rejects a header cut short at every byte", "[io][safetensors]") {
  const std::string header = safetensors_header(two_tensors());
  for (std::size_t size = 0; size < header.size(); ++size) {
    INFO(header.substr(0, size));
    REQUIRE(parse_header(header.substr(0, size), 32).code() == StatusCode::kMalformedFile);
  }
}

TEST_CASE("safetensors reader survives any changed byte of the header", "[io][safetensors]") {
  const std::vector<std::uint8_t> whole = safetensors_file(two_tensors());
  for (std::size_t i = 0; i < whole.size() - 32; ++i) {
    for (int value = 0; value < 256; value += i < 8 ? 1 : 5) {
      std::vector<std::uint8_t> bytes = whole;
      bytes[i] = static_cast<std::uint8_t>(value);
      const auto file = SafetensorsFile::parse(bytes, "test.safetensors");
      if (!file.has_value()) {
        REQUIRE(file.error().code() == StatusCode::kMalformedFile);
        continue;
      }
      for (const StoredTensor& tensor : file->tensors()) {  // whatever was accepted lies inside
        REQUIRE(tensor.data.data() >= bytes.data());
        REQUIRE(tensor.data.data() + tensor.data.size() <= bytes.data() + bytes.size());
      }
    }
  }
}

TEST_CASE("safetensors reader rejects a header longer than the file", "[io][safetensors]") {
  for (const std::uint64_t length :
       {std::uint64_t{100}, std::uint64_t{100'000'001}, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    std::vector<std::uint8_t> bytes = safetensors_file("{}", {});
    std::memcpy(bytes.data(), &length, 8);
    require_malformed(SafetensorsFile::parse(bytes, "test.safetensors").error(), "header length at offset 0");
  }
}

TEST_CASE("safetensors reader rejects headers of another form", "[io][safetensors]") {
  const std::string good = entry("F32", "[1]", "[0,4]");
  const struct {
    std::string header;
    std::string message;
  } cases[] = {
      {"", "expected JSON"},
      {"[]", "expected a JSON object, found an array"},
      {"7", "expected a JSON object, found a number"},
      {"null", "expected a JSON object, found null"},
      {R"({"a":)" + good + "} x", "expected JSON"},
      {R"({"a":)" + good + R"(,"a":)" + good + "}", "tensor a is there twice"},
      {R"({"a":null})", "tensor a is null"},
      {R"({"a":[]})", "tensor a is an array"},
      {R"({"a":4})", "tensor a is a number"},
      {R"({"a":{}})", "tensor a has no dtype"},
      {R"({"a":{"dtype":"F32","shape":[1]}})", "tensor a has no data_offsets"},
      {R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", "tensor a has no shape"},
      {R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "tensor a has dtype twice"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", "tensor a has the unknown key x"},
      {R"({"a":{"dtype":1,"shape":[1],"data_offsets":[0,4]}})", "tensor a has a number in its dtype"},
      {R"({"a":{"dtype":["F32"],"shape":[1],"data_offsets":[0,4]}})", "tensor a has an array in its dtype"},
      {R"({"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})", "tensor a has a number in its shape"},
      {R"({"a":{"dtype":"F32","shape":{"x":1},"data_offsets":[0,4]}})",
       "tensor a has an object in its shape"},
      {R"({"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", "tensor a has an array in its shape"},
      {R"({"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}})", "tensor a has a string in its shape"},
      {R"({"a":{"dtype":"F32","shape":[true],"data_offsets":[0,4]}})", "tensor a has a boolean in its shape"},
      {R"({"a":)" + entry("F32", "[-1]", "[0,4]") + "}", "negative number in its shape"},
      {R"({"a":)" + entry("F32", "[1.0]", "[0,4]") + "}", "not whole in its shape"},
      {R"({"a":)" + entry("F32", "[18446744073709551616]", "[0,4]") + "}", "not whole in its shape"},
      {R"({"a":)" + entry("F32", "[1e400]", "[0,4]") + "}", "expected JSON"},
      {R"({"a":)" + entry("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") + "}", "more than 8 dimensions"},
      {R"({"a":)" + entry("F32", "[1]", "[0]") + "}", "has 1 data_offsets instead of 2"},
      {R"({"a":)" + entry("F32", "[1]", "[]") + "}", "has 0 data_offsets instead of 2"},
      {R"({"a":)" + entry("F32", "[1]", "[0,4,8]") + "}", "more than 2 data_offsets"},
      {R"({"a":)" + entry("F32", "[1]", "[-4,0]") + "}", "negative number in its data_offsets"},
      {R"({"__metadata__":7,"a":)" + good + "}", "__metadata__"},
      {R"({"__metadata__":{"x":1},"a":)" + good + "}", "__metadata__"},
      {R"({"__metadata__":{"x":{}},"a":)" + good + "}", "__metadata__"},
      {"{\"\xff\":" + good + "}", "expected JSON"},
  };
  for (const auto& c : cases) {
    INFO(c.header);
    require_malformed(parse_header(c.header, 4), c.message);
  }
}

TEST_CASE("safetensors reader stops at the first level that has no place in a header", "[io][safetensors]") {
  for (const std::string opening : {"[", "{\"a\":", "{\"a\":{\"shape\":[", "{\"__metadata__\":{\"a\":"}) {
    std::string bomb = opening;
    while (bomb.size() < 1'000'000) bomb += opening;
    REQUIRE(parse_header(bomb, 0).code() == StatusCode::kMalformedFile);
  }
}

TEST_CASE("safetensors reader rejects data that does not fit", "[io][safetensors]") {
  const struct {
    std::string header;
    std::size_t n_data;
    std::string message;
  } cases[] = {
      {R"({"a":)" + entry("F32", "[2]", "[0,8]") + "}", 7, "inside the 7 bytes of data, found 0 to 8"},
      {R"({"a":)" + entry("F32", "[2]", "[8,0]") + "}", 8, "found 8 to 0"},
      {R"({"a":)" + entry("F32", "[2]", "[18446744073709551608,0]") + "}", 8,
       "found 18446744073709551608 to 0"},
      {R"({"a":)" + entry("F32", "[3]", "[0,8]") + "}", 8,
       "expected 12 bytes for its shape and type F32, found 8"},
      {R"({"a":)" + entry("BF16", "[3]", "[0,8]") + "}", 8, "expected 6 bytes"},
      {R"({"a":)" + entry("F32", "[4294967296,4294967296]", "[0,8]") + "}", 8, "over 2^64"},
      {R"({"a":)" + entry("F32", "[4611686018427387904]", "[0,0]") + "}", 0, "over 2^64"},
      {R"({"a":)" + entry("F32", "[1]", "[0,4]") + R"(,"b":)" + entry("F32", "[1]", "[8,12]") + "}", 12,
       "tensor b: expected its data to begin at 4"},
      {R"({"a":)" + entry("F32", "[2]", "[0,8]") + R"(,"b":)" + entry("F32", "[2]", "[4,12]") + "}", 12,
       "tensor b: expected its data to begin at 8"},
      {R"({"a":)" + entry("F32", "[1]", "[0,4]") + R"(,"b":)" + entry("F32", "[1]", "[0,4]") + "}", 4,
       "tensor b: expected its data to begin at 4"},
      {R"({"a":)" + entry("F32", "[1]", "[4,8]") + "}", 8, "tensor a: expected its data to begin at 0"},
      {R"({"a":)" + entry("F32", "[1]", "[0,4]") + "}", 5,
       "cover the 5 bytes of data, found the last to end at 4"},
      {"{}", 1, "cover the 1 bytes"},
  };
  for (const auto& c : cases) {
    INFO(c.header);
    require_malformed(parse_header(c.header, c.n_data), c.message);
  }
}

TEST_CASE("safetensors reader names a file that is not there", "[io][safetensors]") {
  const auto file = SafetensorsFile::open(scratch_path("absent.safetensors"));
  REQUIRE(file.error().code() == StatusCode::kNotFound);
  REQUIRE(file.error().message().find("absent.safetensors") != std::string::npos);
}

TEST_CASE("hf checkpoints of the fuzzer's corpus open, and none is read past its end when cut short",
          "[io][hf]") {
  int n_files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(ELMS_TEST_DATA_DIR) + "/../fuzz/corpus/safetensors")) {
    INFO(entry.path().string());
    const std::vector<std::uint8_t> bytes = read_bytes(entry.path().string());
    REQUIRE(touch_checkpoint(bytes.data(), bytes.size()) == Touched::kOpened);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const std::vector<std::uint8_t> part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      REQUIRE(touch_checkpoint(part.data(), part.size()) == Touched::kRefused);
    }
    ++n_files;
  }
  REQUIRE(n_files >= 3);
}
