// The sizes of an encoder from the metadata of its GGUF file.
#pragma once

#include "elms/detail/encoder.hpp"
#include "elms/detail/gguf.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::detail {

/// Sizes as the keys `bert.*` or `mobilebert.*` and `elms.refiner.*` and the embedding tables give them, each
/// in bounds and in agreement with the others. kMalformedFile and kUnsupported name file and key.
[[nodiscard]] Result<EncoderConfig> read_encoder_config(const GgufFile& file);

/// Checks what holds of every encoder, read or to be written: `source` stands for the file in messages.
[[nodiscard]] Status check_encoder_config(const EncoderConfig& config, std::string_view source);

}  // namespace elms::inline v0::detail
