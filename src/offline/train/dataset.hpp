// What a model is trained on: rows of tokens out of text files and files of examples.
//
//   data_source   what the command line says of a file
//   read_source   a file to tokens, in parallel
//   token_rows    tokens to rows of equal length, with what is to be predicted in them
//   mixture       which row comes when, from seed and step alone
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "elms/offline/progress.hpp"
#include "elms/status.hpp"
#include "elms/thread_pool.hpp"
#include "elms/tokenizer.hpp"
#include "elms/types.hpp"

namespace elms::inline v0::offline::train {

/// Where a text file is cut into documents.
enum class DocumentSplit : std::uint8_t {
  kBlankLines,  ///< at empty lines, which belong to no document
  kWholeFile,   ///< nowhere
  kSeparator,   ///< at lines that are exactly DataSource::separator
};

/// Which tokens of an example are learnt to be predicted. The end belongs to each.
enum class LearntText : std::uint8_t {
  kCompletion,
  kAnswers,  ///< the completion, and what the prompt has "solved"
  kAll,
};

/// A file whose name ends in ".jsonl" has a JSON object in every line: {"prompt", "completion"}, which become
/// examples, or {"text"}, which become documents; not both in one file. "solved" may name byte ranges of the
/// prompt, [[begin, end], ...] in order, that answer earlier requests. Any other file is UTF-8 text.
struct DataSource {
  std::string path;
  double weight = 1.0;  ///< its share of the rows that are drawn, in proportion to those of the others
  LearntText learnt = LearntText::kCompletion;       ///< of examples
  DocumentSplit split = DocumentSplit::kBlankLines;  ///< of text files
  std::string separator;                             ///< for kSeparator
};

/// From "wiki.txt:2,tasks.jsonl:5:loss=all,stories.txt:split=file": after each path a weight, `loss=all`,
/// `loss=answers` or `loss=completion`, `split=blank`, `split=file` or `split=LINE`, in any order.
/// kInvalidArgument names what is wrong.
[[nodiscard]] Result<std::vector<DataSource>> parse_data_sources(std::string_view text);

struct DatasetOptions {
  std::size_t length = 256;     ///< tokens of a row
  double valid_fraction = 0.0;  ///< of each source's rows, its last ones: never trained on
  std::uint64_t seed = 1;       ///< of the order
  bool shorten_prompts =
      false;  ///< an example that is too long loses the start of its prompt instead of being left out
  std::shared_ptr<ThreadPool> pool;  ///< null: one of its own
  ProgressCallback progress;         ///< phase "tokenise"
};

struct DataSourceStatistics {
  std::string path;
  bool is_text = true;          ///< documents, not examples
  std::uint64_t bytes = 0;      ///< of the file
  std::size_t n_items = 0;      ///< documents or examples that are in the rows
  std::size_t n_too_long = 0;   ///< examples left out because they do not fit into a row
  std::size_t n_shortened = 0;  ///< examples that lost the start of their prompt
  std::size_t n_tokens = 0;     ///< BOS and EOS included, padding not
  std::size_t n_targets = 0;    ///< tokens that are learnt to be predicted, validation included
  std::size_t n_train_rows = 0;
  std::size_t n_train_tokens = 0;
  std::size_t n_valid_rows = 0;
  std::size_t first_valid_row = 0;  ///< among the validation rows of all sources
  double share = 0.0;               ///< of the training rows that are drawn
};

/// Rows one after the other, both [n_rows * length]. What follows the last token of a row's last example is
/// padding.
struct TokenBatch {
  std::vector<TokenId> tokens;
  std::vector<TokenId> targets;  ///< the next token, or kIgnoredTarget (ops.hpp)
};

/// Documents, each between BOS and EOS, lie one after the other and are cut into rows; every token but a BOS
/// is a target once. Examples (BOS, prompt, completion, EOS) are packed several to a row and cross no row.
/// Prompt and completion are tokenised as one text, as they will be read; a token that lies in both is a
/// target.
///
/// Immutable; any number of threads may read it. Tokens take two bytes each (four with more than 65536 in the
/// vocabulary).
class Dataset {
 public:
  /// Reads and tokenises everything. kInvalidArgument for options that cannot work, a vocabulary without EOS
  /// or a source without a row to train on; kMalformedFile names file and line; kNotFound, kIoError,
  /// kCancelled. The result depends on the files, the options and the tokenizer only.
  [[nodiscard]] static Result<Dataset> open(const std::vector<DataSource>& sources,
                                            const Tokenizer& tokenizer, const DatasetOptions& options);

  Dataset(Dataset&&) noexcept;
  Dataset& operator=(Dataset&&) noexcept;
  ~Dataset();

  [[nodiscard]] std::size_t length() const noexcept;
  [[nodiscard]] std::size_t n_train_rows() const noexcept;
  [[nodiscard]] std::size_t n_train_tokens() const noexcept;  ///< without padding
  [[nodiscard]] std::size_t n_valid_rows() const noexcept;
  [[nodiscard]] const std::vector<DataSourceStatistics>& statistics() const noexcept;

  /// Rows step * n_rows to (step + 1) * n_rows - 1 of an endless sequence: sources take turns by their
  /// weights, and each gives all of its training rows once, in a random order, before it gives one again.
  /// Allocates for the first batch only.
  void train_batch(std::uint64_t step, std::size_t n_rows, TokenBatch& batch) const;

  /// Validation rows from index * n_rows on, source after source. Behind the last, rows without targets.
  void valid_batch(std::size_t index, std::size_t n_rows, TokenBatch& batch) const;

 private:
  struct Impl;
  explicit Dataset(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace elms::inline v0::offline::train
