#include "offline/recovery/recovery_data.hpp"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "elms/detail/adapter.hpp"
#include "elms/detail/error.hpp"
#include "offline/train/checkpoint.hpp"

namespace elms::inline v0::offline {

Status check_recovery_options(const RecoveryOptions& options) {
  if (options.batch_rows == 0 || options.length < 2) {
    return detail::invalid_argument("recover: a batch of ", options.batch_rows, " rows of ", options.length,
                                    " tokens");
  }
  if (options.method == RecoveryMethod::kBias) {
    if (options.attention_bias || options.ffn_bias) return {};
    return detail::invalid_argument("recover: neither biases of attention nor of the FFN: nothing to do");
  }
  ELMS_RETURN_IF_ERROR(
      train::check_checkpoint_options(options.checkpoint, options.checkpoint_every, options.resume));
  if (options.n_steps == 0 && !(options.minutes > 0.0))
    return detail::invalid_argument("recover: no number of steps and no time");
  if (options.rank < 1 || options.rank > static_cast<std::size_t>(detail::kMaxAdapterRank)) {
    return detail::invalid_argument("recover: a rank of ", options.rank, "; 1 to ", detail::kMaxAdapterRank,
                                    " can be run");
  }
  for (const std::string& target : options.targets) {
    static constexpr std::string_view kTargets[] = {"attn_q",   "attn_k", "attn_v",  "attn_output",
                                                    "ffn_gate", "ffn_up", "ffn_down"};
    if (std::find(std::begin(kTargets), std::end(kTargets), target) == std::end(kTargets)) {
      return detail::invalid_argument("recover: ", target, " is no matrix of a layer");
    }
  }
  return {};
}

Result<train::Dataset> open_recovery_data(const RecoveryOptions& options, const Tokenizer& tokenizer,
                                          std::shared_ptr<ThreadPool> pool) {
  ELMS_ASSIGN_OR_RETURN(const std::vector<train::DataSource> sources,
                        train::parse_data_sources(options.data));
  train::DatasetOptions data_options;
  data_options.length = options.length;
  data_options.valid_fraction = options.valid_fraction;
  data_options.seed = options.seed;
  data_options.shorten_prompts = true;
  data_options.pool = std::move(pool);
  data_options.progress = options.progress;
  return train::Dataset::open(sources, tokenizer, data_options);
}

}  // namespace elms::inline v0::offline
