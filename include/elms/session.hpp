// Session: one conversation with an ElasticModel: KV cache, position, current width, sampler.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "elms/detail/decoder.hpp"
#include "elms/elastic_model.hpp"
#include "elms/op_times.hpp"
#include "elms/probe.hpp"
#include "elms/sampler.hpp"
#include "elms/status.hpp"
#include "elms/types.hpp"

namespace elms::inline v0 {

struct SessionOptions {
  std::int32_t context_tokens = 0;   ///< capacity of the KV cache; 0: what the model was trained for
  std::int32_t batch_tokens = 512;   ///< prefill runs in batches of at most this many tokens
  double width = 1.0;                ///< initial width, see set_width()
  KvType kv_type = KvType::kF16;     ///< kQ8: about half the memory of the KV cache, at a small loss of precision
  std::shared_ptr<ThreadPool> pool{};  ///< null: the model's
  Probe probe{};                       ///< may be empty
};

struct PrefillOptions {
  /// Logits of every position: `logits` is [n_rows, n_vocab] for positions first_position ... Called batch by batch;
  /// kStop ends the prefill with kCancelled. Without it only the last position's logits are computed.
  std::function<Flow(std::int32_t first_position, std::int32_t n_rows, std::span<const float> logits)> on_logits{};

  /// Final hidden states after the output norm, [n_rows, d_model], likewise.
  std::function<Flow(std::int32_t first_position, std::int32_t n_rows, std::span<const float> hidden)> on_hidden{};
};

/// Not thread-safe: one thread at a time. Any number of sessions may share a model. All memory is taken by create(); no
/// call allocates afterwards, but for what callbacks do.
///
/// The width may change between any two calls. Keys and values already in the cache stay as they were computed
/// (detail/kv_cache.hpp states the policy).
class Session {
 public:
  /// kInvalidArgument for sizes below 1 or a null model, kOutOfMemory.
  [[nodiscard]] static Result<Session> create(std::shared_ptr<const ElasticModel> model, const SessionOptions& options = {});

  Session(Session&&) noexcept = default;
  Session& operator=(Session&&) noexcept = default;

  /// Uses the widest level that costs at most `width` (0 .. 1] from the next token on, and returns its index. Writes a
  /// few integers: no allocation, no weight is moved.
  int set_width(double width) noexcept {
    use_level(model_->level_for_width(width));
    return level_;
  }

  /// Likewise by index; kInvalidArgument when there is no such level.
  Status set_level(int level) {
    if (level < 0 || level >= static_cast<int>(model_->levels().size())) {
      return detail::invalid_argument("level ", level, ": the model has levels 0 to ", model_->levels().size() - 1);
    }
    use_level(level);
    return {};
  }

  /// Runs on slices that are no level of the model: [n_layers], which must stay alive and unchanged while in use.
  /// kInvalidArgument when a slice cannot be cut. level() is then -1.
  Status set_slices(std::span<const LayerShape> slices);

  [[nodiscard]] int level() const noexcept { return level_; }
  /// What every layer computes with now: [n_layers]; valid until the width changes.
  [[nodiscard]] std::span<const LayerShape> slices() const noexcept { return slices_; }
  /// Real cost share of the slices in use.
  [[nodiscard]] double width() const noexcept { return width_; }

  /// Appends tokens and computes them, in batches; logits() are then those after the last one. On failure the session is
  /// as before the failing batch; kOutOfContext and kInvalidArgument (a token outside the vocabulary) change nothing.
  Status prefill(std::span<const TokenId> tokens, const PrefillOptions& options = {});

  /// The next token: evaluates the one that the previous call returned, samples from the logits, and leaves the new
  /// token pending. The first call after prefill() therefore costs no forward pass. kInvalidArgument before any
  /// prefill, kOutOfContext when the cache is full, kCancelled.
  [[nodiscard]] Result<TokenId> decode();

  /// Logits after the last evaluated token, [n_vocab]; empty before the first.
  [[nodiscard]] std::span<const float> logits() const noexcept {
    return has_logits_ ? std::span<const float>(logits_) : std::span<const float>();
  }

  /// Tokens in the cache. A pending token of decode() is not yet one of them.
  [[nodiscard]] std::int32_t position() const noexcept { return position_; }
  [[nodiscard]] std::int32_t context_tokens() const noexcept { return context_tokens_; }

  /// Drops everything after the first n tokens (kInvalidArgument for more than there are), the pending token and the
  /// logits. The sampler's history is kept.
  Status rewind(std::int32_t n_tokens);
  /// Empties the cache and the sampler's history. Width and options stay.
  void reset() noexcept;

  /// How decode() chooses; greedy until set.
  void set_sampler(Sampler sampler) noexcept { sampler_ = std::move(sampler); }
  [[nodiscard]] Sampler& sampler() noexcept { return sampler_; }

  /// Checked at every layer of every batch; null for none. Must outlive its use.
  void set_cancel(const CancelToken* cancel) noexcept { cancel_ = cancel; }
  [[nodiscard]] const CancelToken* cancel() const noexcept { return cancel_; }

  /// Adds up the time of each op of every forward pass in *times, which must outlive its use; null (the default) for
  /// none, and then no clock is read.
  void set_op_times(OpTimes* times) noexcept { decoder_.set_op_times(times); }

  [[nodiscard]] const ElasticModel& model() const noexcept { return *model_; }
  [[nodiscard]] KvType kv_type() const noexcept { return decoder_.cache().type(); }
  [[nodiscard]] std::size_t kv_bytes() const noexcept { return decoder_.cache().size_bytes(); }
  [[nodiscard]] std::size_t scratch_bytes() const noexcept { return decoder_.scratch_bytes() + logits_.size_bytes(); }

 private:
  Session(std::shared_ptr<const ElasticModel> model, std::shared_ptr<ThreadPool> pool) noexcept
      : model_(std::move(model)), pool_(std::move(pool)) {}

  void use_level(int level) noexcept {
    const Level& chosen = model_->levels()[static_cast<std::size_t>(level)];
    level_ = level;
    width_ = chosen.cost_share;
    slices_ = chosen.layers;
  }

  static Result<Session> create_now(std::shared_ptr<const ElasticModel> model, const SessionOptions& options);
  Status check(std::span<const TokenId> tokens) const;
  Status run_batch(std::span<const TokenId> tokens, const PrefillOptions& options, bool last);
  Status report_rows(std::int32_t m, const PrefillOptions& options);

  std::shared_ptr<const ElasticModel> model_;
  std::shared_ptr<ThreadPool> pool_;
  Sampler sampler_;
  detail::Decoder decoder_;
  detail::Buffer<float> logits_;       ///< [n_vocab]
  detail::Buffer<float> row_logits_;   ///< [kReportRows, n_vocab], made by the first prefill that asks for all logits
  Probe probe_;
  const CancelToken* cancel_ = nullptr;
  std::span<const LayerShape> slices_;
  double width_ = 1.0;
  int level_ = 0;
  std::int32_t position_ = 0;
  std::int32_t context_tokens_ = 0;
  TokenId pending_ = kNoToken;
  bool has_logits_ = false;
};

inline Result<Session> Session::create(std::shared_ptr<const ElasticModel> model, const SessionOptions& options) {
  return detail::or_out_of_memory([&] { return create_now(std::move(model), options); });
}

inline Result<Session> Session::create_now(std::shared_ptr<const ElasticModel> model, const SessionOptions& options) {
  if (model == nullptr) return detail::invalid_argument("session: the model is null");
  const std::int32_t context = options.context_tokens == 0 ? model->config().context_length : options.context_tokens;
  if (context < 1 || options.batch_tokens < 1) {
    return detail::invalid_argument("session: context of ", context, " and batches of ", options.batch_tokens, " tokens");
  }
  std::shared_ptr<ThreadPool> pool = options.pool != nullptr ? options.pool : model->pool();
  Session session(std::move(model), std::move(pool));
  const ElasticModel& shared = *session.model_;
  const std::int32_t max_batch = std::min(options.batch_tokens, context);
  ELMS_ASSIGN_OR_RETURN(session.decoder_, detail::Decoder::create(shared, context, max_batch, options.kv_type,
                                                                         *session.pool_));
  ELMS_ASSIGN_OR_RETURN(session.logits_,
                        detail::Buffer<float>::uninitialized(static_cast<std::size_t>(shared.config().n_vocab)));
  session.context_tokens_ = context;
  session.probe_ = options.probe;
  session.set_width(options.width);
  return session;
}

inline Status Session::set_slices(std::span<const LayerShape> slices) {
  const ModelConfig& config = model_->config();
  if (slices.size() != config.layers.size()) {
    return detail::invalid_argument("slices of ", slices.size(), " layers for a model of ", config.layers.size());
  }
  const detail::SliceRules rules = detail::slice_rules(config, detail::cut_inputs_are_quantised(model_->source()));
  for (std::size_t i = 0; i < slices.size(); ++i) {
    if (Status status = detail::check_slice(config.layers[i], slices[i], rules); !status.ok()) {
      return detail::invalid_argument("layer ", i, ": ", status.message());
    }
  }
  ELMS_ASSIGN_OR_RETURN(const detail::CostModel cost,
                        detail::or_out_of_memory([&] { return detail::make_cost_model(model_->source()); }));
  level_ = -1;
  slices_ = slices;
  width_ = cost.cost_share(slices);
  return {};
}

inline Status Session::check(std::span<const TokenId> tokens) const {
  const auto free_positions = static_cast<std::size_t>(context_tokens_ - position_);
  if (tokens.size() > free_positions) {
    return detail::error(StatusCode::kOutOfContext, "session: ", tokens.size(), " tokens do not fit: ", position_, " of ",
                         context_tokens_, " positions are taken");
  }
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || tokens[i] >= model_->config().n_vocab) {
      return detail::invalid_argument("session: token ", i, " is ", tokens[i], ", outside the vocabulary of ",
                                      model_->config().n_vocab);
    }
  }
  return {};
}

inline Status Session::prefill(std::span<const TokenId> tokens, const PrefillOptions& options) {
  if (tokens.empty()) return detail::invalid_argument("session: prefill of no tokens");
  const bool has_pending = pending_ != kNoToken;
  ELMS_RETURN_IF_ERROR(check(tokens));
  if (has_pending) {
    if (tokens.size() >= static_cast<std::size_t>(context_tokens_ - position_)) {
      return detail::error(StatusCode::kOutOfContext, "session: ", tokens.size() + 1, " tokens do not fit: ", position_,
                           " of ", context_tokens_, " positions are taken");
    }
    ELMS_RETURN_IF_ERROR(run_batch({&pending_, 1}, {}, false));
    pending_ = kNoToken;
  }
  const auto step = static_cast<std::size_t>(decoder_.max_batch());
  for (std::size_t begin = 0; begin < tokens.size(); begin += step) {
    const std::size_t n = std::min(step, tokens.size() - begin);
    ELMS_RETURN_IF_ERROR(run_batch(tokens.subspan(begin, n), options, begin + n == tokens.size()));
  }
  for (TokenId token : tokens) sampler_.accept(token);
  return {};
}

/// One batch: all of it is in the cache afterwards, or none.
inline Status Session::run_batch(std::span<const TokenId> tokens, const PrefillOptions& options, bool last) {
  const auto m = static_cast<std::int32_t>(tokens.size());
  has_logits_ = false;
  Status status = decoder_.run_layers({tokens, position_, slices_, model_->adapter(level_), cancel_, probe_ ? &probe_ : nullptr});
  if (status.ok()) status = report_rows(m, options);
  if (!status.ok()) {
    decoder_.cache().truncate(static_cast<std::size_t>(position_));
    return status;
  }
  if (last) {
    decoder_.logits(m - 1, 1, logits_.data());
    has_logits_ = true;
  }
  position_ += m;
  return {};
}

inline Status Session::report_rows(std::int32_t m, const PrefillOptions& options) {
  constexpr std::int32_t kReportRows = 32;
  if (!options.on_logits && !options.on_hidden) return {};
  const auto d = static_cast<std::size_t>(model_->config().d_model);
  const std::size_t row_floats = std::max(d, logits_.size());
  const std::int32_t step = std::min(kReportRows, decoder_.max_batch());
  if (row_logits_.empty()) {
    ELMS_ASSIGN_OR_RETURN(row_logits_, detail::Buffer<float>::uninitialized(static_cast<std::size_t>(step) * row_floats));
  }
  for (std::int32_t r = 0; r < m; r += step) {
    const std::int32_t n = std::min(step, m - r);
    Flow flow = Flow::kContinue;
    if (options.on_hidden) {
      for (std::int32_t i = 0; i < n; ++i) decoder_.normalise_row(r + i, row_logits_.data() + static_cast<std::size_t>(i) * d);
      flow = options.on_hidden(position_ + r, n, {row_logits_.data(), static_cast<std::size_t>(n) * d});
    }
    if (options.on_logits && flow == Flow::kContinue) {
      decoder_.logits(r, n, row_logits_.data());
      flow = options.on_logits(position_ + r, n, {row_logits_.data(), static_cast<std::size_t>(n) * logits_.size()});
    }
    if (flow == Flow::kStop) return Status(StatusCode::kCancelled, "stopped by a callback");
  }
  return {};
}

inline Result<TokenId> Session::decode() {
  if (pending_ != kNoToken) {
    if (position_ >= context_tokens_) {
      return detail::error(StatusCode::kOutOfContext, "session: all ", context_tokens_, " positions are taken");
    }
    ELMS_RETURN_IF_ERROR(run_batch({&pending_, 1}, {}, true));
    pending_ = kNoToken;
  }
  if (!has_logits_) return detail::invalid_argument("session: decode before prefill");
  const TokenId token = sampler_.sample(logits_);
  if (token == kNoToken) {
    return detail::error(StatusCode::kInternal, "session: no token can be chosen after position ", position_,
                         ": every logit is NaN or -infinity (all tokens banned, or broken weights)");
  }
  sampler_.accept(token);
  pending_ = token;
  return token;
}

inline Status Session::rewind(std::int32_t n_tokens) {
  if (n_tokens < 0 || n_tokens > position_) {
    return detail::invalid_argument("session: rewind to ", n_tokens, " of ", position_, " tokens");
  }
  decoder_.cache().truncate(static_cast<std::size_t>(n_tokens));
  position_ = n_tokens;
  pending_ = kNoToken;
  has_logits_ = false;
  return {};
}

inline void Session::reset() noexcept {
  decoder_.cache().truncate(0);
  position_ = 0;
  pending_ = kNoToken;
  has_logits_ = false;
  sampler_.reset();
}

}  // namespace elms::inline v0
