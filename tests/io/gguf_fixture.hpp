// A tiny GGUF to open, change and break.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "elms/detail/model_source.hpp"
#include "support.hpp"
#include "tiny_checkpoint.hpp"

namespace elms_test {

using elms::Result;
using elms::StatusCode;
using elms::detail::GgufWriter;
using elms::detail::ModelSource;

using Change = std::function<void(GgufWriter&)>;

struct GgufFixture {
  std::mt19937 rng = make_rng(51);
  TinyShape shape;
  std::vector<TinyTensor> tensors = tiny_tensors(shape, rng);

  Result<std::unique_ptr<const ModelSource>> open(const Change& change = {}) const {
    return ModelSource::open(write_gguf("model.gguf", shape, tensors, change));
  }
  void refuses(const Change& change, StatusCode code, const std::string& part) const {
    require(open(change), code, part);
  }
  static void require(const Result<std::unique_ptr<const ModelSource>>& source, StatusCode code,
                      const std::string& part) {
    INFO(source.error().message());
    REQUIRE(source.error().code() == code);
    REQUIRE(source.error().message().find("model.gguf") != std::string::npos);
    REQUIRE(source.error().message().find(part) != std::string::npos);
  }
  TinyTensor& tensor(const std::string& name) {
    for (TinyTensor& tensor : tensors) {
      if (tensor.gguf == name) return tensor;
    }
    FAIL("no tensor " << name);
    return tensors.front();
  }
  void add_vector(const std::string& name, std::uint64_t size, float value = 1.0f) {
    tensors.push_back({name, "", 1, size, true, false, std::vector<float>(size, value)});
  }
};

template <typename T>
Change set(const std::string& key, T value) {
  return [=](GgufWriter& writer) { writer.set(key, value); };
}

template <typename T>
Change set_list(const std::string& key, std::vector<T> values) {
  return [=](GgufWriter& writer) { writer.set(key, std::span<const T>(values)); };
}

inline Change erase(const std::string& key) {
  return [=](GgufWriter& writer) { writer.erase(key); };
}

}  // namespace elms_test
