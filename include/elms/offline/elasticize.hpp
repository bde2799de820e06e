// From an ordinary checkpoint to an elastic one, and from an elastic one to a plain model of one level.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "elms/level.hpp"
#include "elms/offline/importance.hpp"
#include "elms/offline/progress.hpp"
#include "elms/offline/recovery.hpp"
#include "elms/status.hpp"

namespace elms::inline v0::offline {

enum class Allocation : std::uint8_t {
  kUniform,  ///< every layer keeps the same share of its units
  kGlobal,   ///< units of all layers compete by standardised importance per byte; every layer keeps some
  kSearch,  ///< found by measuring KL to the full model on calibration text; the layers that matter stay wide
};

struct ElasticizeOptions {
  /// Several need kSearch, which then takes the order of units in which simple cuts have the least KL to the full
  /// model.
  std::vector<ImportanceMethod> importance = {ImportanceMethod::kFlap};
  Allocation allocation = Allocation::kUniform;
  std::optional<DType> type;         ///< of the matrices in the new file; nothing: as each tensor is stored
  std::vector<double> cost_targets;  ///< ascending, (0, 1]; empty: 0.2, 0.3 ... 1.0
  CalibrationOptions calibration;
  std::int32_t search_tokens = 1024;  ///< of the calibration text, that kSearch compares levels on
  /// Then levels are recovered, with pool and progress of these options. kLora and kNested that are stopped
  /// leave OUTPUT.unrecovered and a checkpoint (its own name, or OUTPUT.checkpoint), from which a call with
  /// `resume` goes on.
  std::optional<RecoveryOptions> recovery;
  std::shared_ptr<ThreadPool> pool;  ///< null: one of its own
  ProgressCallback progress;
};

struct ElasticizeReport {
  std::vector<Level> levels;            ///< as they are in the new file
  Importance importance;                ///< in the order of the input file; empty of a run that was resumed
  std::int32_t calibration_tokens = 0;  ///< used
  std::uint64_t bytes_written = 0;      ///< of tensors
  std::optional<RecoveryReport> recovery;
};

/// Orders the units of `input` (GGUF or Hugging Face directory) by importance and writes them to `output` as
/// GGUF of the same architecture with `elms` metadata. `calibration_text` may be empty for methods that
/// need none. Permutation is done in float before quantisation; rows that only move keep their bytes. The
/// output appears when complete, or not.
[[nodiscard]] Result<ElasticizeReport> elasticize(const std::string& input, const std::string& output,
                                                  std::string_view calibration_text,
                                                  const ElasticizeOptions& options = {});

enum class AdapterUse : std::uint8_t {
  kIgnore,  ///< the level's weights as they are; its adapter is a LoRA file for them
  kMerge,   ///< the level's adapter becomes part of the weights
};

/// Writes one level of an elastic model as a plain dense GGUF: the model's own architecture where all layers
/// have the same widths, `deci` where they differ (kUnsupported for a model that `deci` cannot express:
/// per-head q/k norms). Null pool: one of its own. Merging: kUnsupported for biases that the architecture has
/// no tensor for.
[[nodiscard]] Status extract(const std::string& input, int level, const std::string& output,
                             const ProgressCallback& progress = {},
                             std::shared_ptr<ThreadPool> pool = nullptr,
                             AdapterUse adapters = AdapterUse::kIgnore);

}  // namespace elms::inline v0::offline
