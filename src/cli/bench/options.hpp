// What `elms bench` was asked to measure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "elms/types.hpp"

namespace elms_cli {

struct BenchOptions {
  std::string model, plot;
  std::vector<double> widths;                        ///< empty: every level
  std::vector<std::int32_t> prefill_tokens = {512};  ///< lengths of prompts
  std::int32_t decode_tokens = 64, repeats = 5;
  std::int32_t context = 0;  ///< tokens in the cache when decoding is profiled; 0: the longest prompt
  elms::KvType kv = elms::KvType::kF16;
  std::size_t threads = 0;
  bool pin = false, switch_only = false, json = false;

  [[nodiscard]] std::int32_t longest_prompt() const {
    return *std::max_element(prefill_tokens.begin(), prefill_tokens.end());
  }
  [[nodiscard]] std::int32_t profiled_context() const { return context > 0 ? context : longest_prompt(); }
};

/// Steps of decoding that are profiled.
inline constexpr std::int32_t kProfiledSteps = 16;

}  // namespace elms_cli
