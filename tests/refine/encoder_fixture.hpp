// Random and converted encoders for the tests of this room.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "elms/detail/encoder.hpp"
#include "elms/offline/convert.hpp"
#include "support.hpp"

namespace elms_test {

using elms::TokenId;
using elms::detail::Encoder;
using elms::detail::EncoderConfig;
using elms::detail::EncoderModel;
using elms::detail::EncoderPrecision;

/// BERT of the given size with 300 tokens.
EncoderConfig bert_config(std::int32_t d_model, std::int32_t n_layers, std::int32_t max_positions);
/// MobileBERT of two layers with everything that the paper's model has, small.
EncoderConfig mobilebert_config();

/// A random encoder with both heads in a scratch file.
std::string write_random_encoder(const EncoderConfig& config, elms::DType type = elms::DType::kF32,
                                 const std::string& name = "random.gguf");

std::shared_ptr<const EncoderModel> open_encoder(const std::string& path,
                                                 std::optional<EncoderPrecision> precision = {},
                                                 std::size_t n_threads = 1);
std::unique_ptr<Encoder> make_encoder(const std::string& path, std::optional<EncoderPrecision> precision = {},
                                      std::size_t n_threads = 1);

std::vector<TokenId> random_tokens(std::size_t n, std::int32_t n_vocab, std::uint32_t salt);

/// A folder of tests/data/encoder.
std::string encoder_folder(const std::string& name);
/// expected.safetensors of such a folder, by name.
std::map<std::string, std::vector<float>> read_expected(const std::string& folder);
/// The largest difference of two arrays of one size.
double largest_difference(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace elms_test
