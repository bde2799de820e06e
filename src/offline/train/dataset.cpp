#include "offline/train/dataset.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "elms/detail/error.hpp"
#include "elms/detail/random.hpp"
#include "offline/train/mixture.hpp"
#include "offline/train/ops.hpp"
#include "offline/train/read_source.hpp"
#include "offline/train/token_rows.hpp"

namespace elms::inline v0::offline::train {
namespace {

using detail::invalid_argument;

Status check(const std::vector<DataSource>& sources, const Tokenizer& tokenizer,
             const DatasetOptions& options) {
  if (sources.empty() || sources.size() > Mixture::kPeriod) {
    return invalid_argument("training data: ", sources.size(), " sources; expected 1 to ", Mixture::kPeriod);
  }
  if (options.length < 2 || options.length > std::size_t{1} << 20) {
    return invalid_argument("training data: rows of ", options.length, " tokens; expected 2 to ", 1 << 20);
  }
  if (!(options.valid_fraction >= 0.0 && options.valid_fraction < 1.0)) {
    return invalid_argument("training data: a validation share of ", options.valid_fraction,
                            "; expected 0 to below 1");
  }
  if (tokenizer.eos() == kNoToken)
    return invalid_argument("training data: the vocabulary has no end-of-text token");
  for (const DataSource& source : sources) {
    if (source.weight > 0.0 && std::isfinite(source.weight)) continue;
    return invalid_argument(source.path, ": a weight of ", source.weight, "; expected more than 0");
  }
  return {};
}

/// One at least where any are wanted and there are two.
std::size_t n_valid_of(std::size_t n_rows, double fraction) {
  if (fraction <= 0.0 || n_rows < 2) return 0;
  const auto n = static_cast<std::size_t>(static_cast<double>(n_rows) * fraction);
  return std::clamp<std::size_t>(n, 1, n_rows - 1);
}

DataSourceStatistics describe(const DataSource& source, const ReadSource& read, const TokenRows& rows,
                              double valid_fraction) {
  DataSourceStatistics facts;
  facts.path = source.path;
  facts.is_text = read.is_text;
  facts.bytes = read.bytes;
  facts.n_items = read.items.sizes.size();
  facts.n_too_long = read.n_too_long;
  facts.n_shortened = read.n_shortened;
  facts.n_valid_rows = n_valid_of(rows.n_rows(), valid_fraction);
  facts.n_train_rows = rows.n_rows() - facts.n_valid_rows;
  for (std::size_t row = 0; row < rows.n_rows(); ++row) {
    facts.n_tokens += rows.n_tokens(row);
    facts.n_targets += rows.n_targets(row);
    if (row < facts.n_train_rows) facts.n_train_tokens += rows.n_tokens(row);
  }
  return facts;
}

std::vector<double> weights_of(const std::vector<DataSource>& sources) {
  std::vector<double> weights;
  for (const DataSource& source : sources) weights.push_back(source.weight);
  return weights;
}

}  // namespace

struct Dataset::Impl {
  Impl(const std::vector<DataSource>& sources, const Tokenizer& tokenizer, const DatasetOptions& options)
      : length(options.length), seed(options.seed), padding(tokenizer.eos()), mixture(weights_of(sources)) {}

  Status add(const DataSource& source, const ReadSource& read, const DatasetOptions& options,
             std::size_t n_vocab) {
    TokenRows made = read.is_text ? TokenRows::cut(read.items, length, n_vocab)
                                  : TokenRows::pack(read.items, length, n_vocab);
    DataSourceStatistics facts = describe(source, read, made, options.valid_fraction);
    if (facts.n_train_rows == 0) {
      return invalid_argument(source.path, ": no row to train on (", read.n_too_long,
                              " examples are too long for rows of ", length, " tokens)");
    }
    facts.first_valid_row = n_valid_rows;
    facts.share = mixture.share(rows.size());
    n_train_rows += facts.n_train_rows;
    n_train_tokens += facts.n_train_tokens;
    n_valid_rows += facts.n_valid_rows;
    rows.push_back(std::move(made));
    statistics.push_back(std::move(facts));
    return {};
  }

  /// Row `number` of the endless sequence.
  void copy_train_row(std::uint64_t number, std::span<TokenId> tokens, std::span<TokenId> targets) const {
    const Mixture::Draw draw = mixture.draw(number);
    const std::uint64_t n = statistics[draw.source].n_train_rows;
    std::uint64_t state = seed;
    std::uint64_t key = detail::splitmix64(state) + draw.source;
    key = detail::splitmix64(key) + draw.index / n;  // another order in every epoch
    const std::uint64_t row = shuffled(draw.index % n, n, detail::splitmix64(key));
    rows[draw.source].copy(static_cast<std::size_t>(row), padding, tokens, targets);
  }

  void copy_valid_row(std::size_t number, std::span<TokenId> tokens, std::span<TokenId> targets) const {
    for (std::size_t s = 0; s < rows.size(); ++s) {
      const DataSourceStatistics& facts = statistics[s];
      if (number - facts.first_valid_row >= facts.n_valid_rows) continue;
      return rows[s].copy(facts.n_train_rows + number - facts.first_valid_row, padding, tokens, targets);
    }
    std::fill(tokens.begin(), tokens.end(), padding);
    std::fill(targets.begin(), targets.end(), kIgnoredTarget);
  }

  std::size_t length;
  std::uint64_t seed;
  TokenId padding;
  Mixture mixture;
  std::vector<TokenRows> rows;  ///< of each source; the last n_valid_rows are for validation
  std::vector<DataSourceStatistics> statistics;
  std::size_t n_train_rows = 0, n_train_tokens = 0, n_valid_rows = 0;
};

Dataset::Dataset(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Dataset::Dataset(Dataset&&) noexcept = default;
Dataset& Dataset::operator=(Dataset&&) noexcept = default;
Dataset::~Dataset() = default;

Result<Dataset> Dataset::open(const std::vector<DataSource>& sources, const Tokenizer& tokenizer,
                              const DatasetOptions& options) {
  ELMS_RETURN_IF_ERROR(check(sources, tokenizer, options));
  std::shared_ptr<ThreadPool> pool = options.pool;
  if (pool == nullptr) {
    ELMS_ASSIGN_OR_RETURN(pool, ThreadPool::create());
  }
  auto impl = std::make_unique<Impl>(sources, tokenizer, options);
  ProgressMeter progress(options.progress, "tokenise");
  const auto n_vocab = static_cast<std::size_t>(tokenizer.n_vocab());
  const double share = 1.0 / static_cast<double>(sources.size());
  for (std::size_t s = 0; s < sources.size(); ++s) {
    ELMS_ASSIGN_OR_RETURN(const ReadSource read, read_source(sources[s], tokenizer, options, *pool, progress,
                                                             share * static_cast<double>(s), share));
    ELMS_RETURN_IF_ERROR(impl->add(sources[s], read, options, n_vocab));
  }
  return Dataset(std::move(impl));
}

std::size_t Dataset::length() const noexcept {
  return impl_->length;
}
std::size_t Dataset::n_train_rows() const noexcept {
  return impl_->n_train_rows;
}
std::size_t Dataset::n_train_tokens() const noexcept {
  return impl_->n_train_tokens;
}
std::size_t Dataset::n_valid_rows() const noexcept {
  return impl_->n_valid_rows;
}
const std::vector<DataSourceStatistics>& Dataset::statistics() const noexcept {
  return impl_->statistics;
}

void Dataset::train_batch(std::uint64_t step, std::size_t n_rows, TokenBatch& batch) const {
  const std::size_t length = impl_->length;
  batch.tokens.resize(n_rows * length);
  batch.targets.resize(n_rows * length);
  for (std::size_t r = 0; r < n_rows; ++r) {
    impl_->copy_train_row(step * n_rows + r, std::span(batch.tokens).subspan(r * length, length),
                          std::span(batch.targets).subspan(r * length, length));
  }
}

void Dataset::valid_batch(std::size_t index, std::size_t n_rows, TokenBatch& batch) const {
  const std::size_t length = impl_->length;
  batch.tokens.resize(n_rows * length);
  batch.targets.resize(n_rows * length);
  for (std::size_t r = 0; r < n_rows; ++r) {
    impl_->copy_valid_row(index * n_rows + r, std::span(batch.tokens).subspan(r * length, length),
                          std::span(batch.targets).subspan(r * length, length));
  }
}

}  // namespace elms::inline v0::offline::train
