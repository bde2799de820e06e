// Small random models, and the models under test, opened.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "elms/elastic_model.hpp"
#include "elms/offline/synth.hpp"
#include "support.hpp"

namespace elms_test {

/// Four layers, every dimension a multiple of 32, grouped-query attention.
inline elms::offline::SynthShape small_shape(const std::string& architecture = "llama") {
  elms::offline::SynthShape shape;
  shape.architecture = architecture;
  shape.d_model = 64;
  shape.n_layers = 3;
  shape.n_heads = 4;
  shape.n_kv_heads = 2;
  shape.head_dim = 32;
  shape.d_ff = 192;
  shape.n_vocab = 320;
  shape.context_length = 128;
  return shape;
}

inline std::string write_model(const elms::offline::SynthShape& shape, elms::DType type, const std::string& name) {
  const std::string path = scratch_path(name);
  const elms::Status status = elms::offline::synthesize(shape, type, 7, path);
  INFO(status.message());
  REQUIRE(status.ok());
  return path;
}

inline std::shared_ptr<elms::ThreadPool> make_pool(std::size_t n_threads) {
  auto pool = elms::ThreadPool::create(n_threads);
  REQUIRE(pool.has_value());
  return *pool;
}

/// One thread unless a test is about several: waiting threads of a pool spin, which a busy test machine pays for.
inline std::shared_ptr<const elms::ElasticModel> open_model(const std::string& path, std::size_t n_threads = 1) {
  elms::OpenOptions options;
  options.pool = make_pool(n_threads);
  auto model = elms::ElasticModel::open(path, options);
  INFO(model.error().message());
  REQUIRE(model.has_value());
  return *model;
}

}  // namespace elms_test
