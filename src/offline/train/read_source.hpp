// A file of documents or examples as tokens.
#pragma once

#include <cstdint>

#include "offline/progress_meter.hpp"
#include "offline/train/dataset.hpp"
#include "offline/train/token_rows.hpp"

namespace elms::inline v0::offline::train {

struct ReadSource {
  TokenItems items;
  bool is_text = true;
  std::uint64_t bytes = 0;
  std::size_t n_too_long = 0, n_shortened = 0;
};

/// Items in the order of the file, with BOS (where the vocabulary has it) and EOS. Documents may be of any
/// length; examples are of options.length at most. `done` [0, 1] and `share` place the file among all in what
/// progress reports.
[[nodiscard]] Result<ReadSource> read_source(const DataSource& source, const Tokenizer& tokenizer,
                                             const DatasetOptions& options, ThreadPool& pool,
                                             ProgressMeter& progress, double done, double share);

}  // namespace elms::inline v0::offline::train
