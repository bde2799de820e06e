// Opens a Hugging Face checkpoint made of any bytes and uses everything that it offers, for the fuzzer and
// for the hostile files of tests/io.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "io/hf_config.hpp"
#include "io/safetensors.hpp"
#include "io/tensor_table.hpp"

namespace elms_test {

enum class Touched : std::uint8_t {
  kRefused,  ///< with an error that names the file
  kOpened,   ///< and every tensor was read
  kBroken,   ///< an error that names nothing
};

inline Touched refused(const elms::Status& status) {
  return status.message().rfind("fuzz", 0) == 0 ? Touched::kRefused : Touched::kBroken;
}

inline void read_all(const elms::detail::StoredTensor& tensor) {
  [[maybe_unused]] static volatile std::uint64_t sink;
  std::uint64_t sum = 0;
  for (const std::uint8_t byte : tensor.data) sum += byte;
  sink = sum;  // keeps the reads
}

/// Tensors of a safetensors file through the config of a model.
inline Touched touch_model(std::string_view config_text, std::span<const elms::detail::StoredTensor> stored) {
  using namespace elms::detail;
  const auto json = JsonFile::parse(config_text, "fuzz.json");
  if (!json.has_value()) return refused(json.error());
  std::unordered_set<std::string_view> names;
  for (const StoredTensor& tensor : stored) names.insert(tensor.name);
  const auto has = [&](const TensorSpec& spec, std::int32_t layer) {
    return names.contains(hf_tensor_name(spec, layer));
  };
  const auto config = read_hf_config(*json, stored.size(), has);
  if (!config.has_value()) return refused(config.error());
  const bool unrotate = config->rope.style == elms::RopeStyle::kInterleaved;
  const auto table = TensorTable::bind("fuzz", *config, stored, TensorNaming::kHuggingFace, unrotate);
  if (!table.has_value()) return refused(table.error());
  for (const SourceTensor& tensor : table->tensors()) {
    std::vector<float> row(tensor.cols);
    for (std::uint64_t r = 0; r < tensor.rows; ++r) tensor.decode_row(r, row.data());
  }
  return Touched::kOpened;
}

/// `data` is two bytes with the length of config.json, config.json, a safetensors file.
inline Touched touch_checkpoint(const std::uint8_t* data, std::size_t size) {
  using namespace elms::detail;
  if (size < 2) return Touched::kRefused;
  const std::size_t config_size = std::min<std::size_t>(data[0] | data[1] << 8, size - 2);
  const std::string_view config(reinterpret_cast<const char*>(data) + 2, config_size);
  // In memory of its own size, so that a read past the end is one past an allocation.
  const std::vector<std::uint8_t> weights(data + 2 + config_size, data + size);
  const auto file = SafetensorsFile::parse(weights, "fuzz.safetensors");
  if (!file.has_value()) {
    const Touched without_weights = touch_model(config, {});
    return without_weights == Touched::kBroken ? without_weights : refused(file.error());
  }
  for (const StoredTensor& tensor : file->tensors()) read_all(tensor);
  return touch_model(config, file->tensors());
}

}  // namespace elms_test
