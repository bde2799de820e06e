// What gives the levels of an elastic model back some of the quality that cutting cost them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "elms/offline/progress.hpp"
#include "elms/offline/training.hpp"
#include "elms/status.hpp"
#include "elms/thread_pool.hpp"

namespace elms::inline v0::offline {

enum class RecoveryMethod : std::uint8_t {
  kBias,    ///< per level: biases that restore the mean of what the cut units contributed; closed form
  kLora,    ///< per level: low-rank updates, trained to give the full model's probabilities
  kNested,  ///< the weights themselves, all levels together (sandwich sampling: Yu, Huang 2019); the full
            ///< width changes too
};

[[nodiscard]] const char* to_string(RecoveryMethod method) noexcept;
[[nodiscard]] std::optional<RecoveryMethod> parse_recovery_method(std::string_view name) noexcept;

/// What the mean of a level's residual stream is made equal to, block after block (Bias: FLAP, An et al.
/// 2023).
enum class BiasReference : std::uint8_t {
  kFullModel,  ///< that of the full model
  kFullBlock,  ///< that of the full block on the level's own input: what the cut units would have added
};

struct RecoveryOptions {
  RecoveryMethod method = RecoveryMethod::kLora;
  std::string data;         ///< "text.txt:1,tasks.jsonl:2", as for training
  std::vector<int> levels;  ///< to be recovered; empty: all but the full one

  // Biases. An extracted model of an architecture without biases of its FFN cannot hold those.
  bool attention_bias = true, ffn_bias = true;  ///< of kBias, and of kLora with `train_biases`
  BiasReference bias_reference = BiasReference::kFullBlock;
  std::size_t bias_tokens = 8192;  ///< over which means are taken

  // Low-rank updates: W += alpha / rank * B A.
  std::size_t rank = 8;
  double alpha = 16.0;
  std::vector<std::string>
      targets;  ///< of attn_q, attn_k, attn_v, attn_output, ffn_gate, ffn_up, ffn_down; empty: all
  bool train_biases = false;          ///< biases too; without them a merged level is exact in every runtime
  double cross_entropy_weight = 0.0;  ///< of the data's next tokens, beside the distance to the full model

  // Nested.
  std::size_t random_levels = 2;  ///< a step trains the full width, the narrowest level and so many others

  // How long: the first of both that is reached; 0 is no limit. A step is one batch for all levels.
  std::uint64_t n_steps = 0;
  double minutes = 0.0;
  std::size_t batch_rows = 8, length = 256;
  LossBalance balance = LossBalance::kTokens;  ///< kRows: also, only targets teach
  double learning_rate = 0.0;                  ///< 0: 2e-3 for low-rank updates, 3e-4 for nested
  std::uint64_t warmup_steps = 20;
  double clip_norm = 1.0;  ///< 0: none

  double valid_fraction = 0.02;  ///< of the data: not trained on, but measured
  std::size_t valid_rows = 64;   ///< at most

  /// A file from which kLora and kNested can go on: written every checkpoint_every steps (0: not) and when
  /// they are stopped, removed when all is done. One that is there is only replaced by the run that resumes
  /// from it.
  std::string checkpoint;
  std::uint64_t checkpoint_every = 0;
  bool resume = false;

  std::uint64_t seed = 1;
  std::shared_ptr<ThreadPool> pool;  ///< null: one of its own
  ProgressCallback progress;         ///< phases "tokenise", "measure", "recover", "write"
};

struct LevelRecovery {
  int level = 0;
  double cost_share = 1.0;
  double kl_before = 0.0, kl_after = 0.0;  ///< to the original full model over held-out rows, nats a token
  double loss_before = 0.0, loss_after = 0.0;  ///< cross-entropy of the targets of these rows
  std::string adapter;                         ///< file beside the model; empty: none
};

struct RecoveryReport {
  std::vector<LevelRecovery> levels;
  std::uint64_t n_steps = 0;
  std::uint64_t n_tokens = 0;       ///< of training batches
  std::size_t valid_tokens = 0;     ///< that the distances are means of
  std::uint64_t adapter_bytes = 0;  ///< of all files together
};

/// Reads the elastic GGUF `input` and writes `output`. kBias and kLora write OUTPUT.levelN.lora.gguf for each
/// level beside it, which the model names (elms.levels.adapters), and leave the tensors as they are; kNested
/// writes new tensors. kInvalidArgument for a file without levels or options that cannot work, kUnsupported,
/// kMalformedFile, kNotFound, kIoError, kOutOfMemory, kCancelled; then nothing but the checkpoint is left
/// behind. With n_steps, the result depends neither on the number of threads nor on where it was stopped and
/// resumed.
[[nodiscard]] Result<RecoveryReport> recover(const std::string& input, const std::string& output,
                                             const RecoveryOptions& options);

}  // namespace elms::inline v0::offline
