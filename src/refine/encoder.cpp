#include "elms/detail/encoder.hpp"

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

#include "elms/detail/error.hpp"
#include "refine/encoder_heads.hpp"
#include "refine/encoder_pass.hpp"
#include "refine/encoder_windows.hpp"

namespace elms::inline v0::detail {

struct Encoder::Impl {
  std::shared_ptr<const EncoderModel> model;
  const EncoderParts* parts = nullptr;
  EncoderPass pass;
  const CancelToken* cancel = nullptr;
  Buffer<PlacedToken> window;     ///< [max_positions]
  Buffer<double> pooled_sum;      ///< [d_model]: over all windows
  Buffer<float> pooled;           ///< [d_model]
  Buffer<float> decision_hidden;  ///< [n_hidden]

  [[nodiscard]] const EncoderConfig& config() const noexcept { return parts->file.config(); }
  [[nodiscard]] std::span<const EncoderLayer> shared_layers() const noexcept {
    return std::span(parts->layers).first(static_cast<std::size_t>(config().n_shared_layers));
  }
  [[nodiscard]] std::span<const EncoderLayer> score_layers() const noexcept {
    return std::span(parts->layers).subspan(static_cast<std::size_t>(config().n_shared_layers));
  }

  [[nodiscard]] Status check_tokens(std::span<const TokenId> tokens) const;
  [[nodiscard]] Status embed_window(std::span<const TokenId> tokens);
  [[nodiscard]] Status run_windows(std::span<const TokenId> tokens, float* keep_probability, bool decides);
  [[nodiscard]] Status score_window(const TokenWindow& at, std::size_t n_windows, float* keep_probability);
  void pool_states() noexcept;
  void finish_decision(std::size_t n_rows, float ttft_share, float tpot_share,
                       std::span<float> quality) noexcept;
  [[nodiscard]] Status check_score(std::span<const TokenId> tokens,
                                   std::span<const float> keep_probability) const;
  [[nodiscard]] Status check_decide(float ttft_share, float tpot_share, std::span<const float> quality) const;
};

Status Encoder::Impl::check_tokens(std::span<const TokenId> tokens) const {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || tokens[i] >= config().n_vocab) {
      return invalid_argument("encoder: token ", i, " is ", tokens[i], ", outside the vocabulary of ",
                              config().n_vocab);
    }
  }
  return {};
}

Status Encoder::Impl::embed_window(std::span<const TokenId> tokens) {
  const std::size_t n = tokens.size() + 2;
  for (std::size_t i = 0; i < n; ++i) {
    const TokenId token = i == 0       ? parts->tokenizer->bos()
                          : i + 1 == n ? parts->tokenizer->eos()
                                       : tokens[i - 1];
    window[i] = {token, static_cast<std::int32_t>(i)};
  }
  return pass.embed(std::span<const PlacedToken>(window).first(n));
}

/// Both branches of every window: the sums of weighted scores, and of states. keep_probability may be null.
Status Encoder::Impl::run_windows(std::span<const TokenId> tokens, float* keep_probability, bool decides) {
  const TokenWindows windows(tokens.size(), static_cast<std::size_t>(model->window_tokens()));
  if (keep_probability != nullptr) std::fill_n(keep_probability, tokens.size(), 0.0f);
  if (decides) std::fill_n(pooled_sum.data(), pooled_sum.size(), 0.0);
  for (std::size_t i = 0; i < windows.count(); ++i) {
    const TokenWindow at = windows[i];
    ELMS_RETURN_IF_ERROR(embed_window(tokens.subspan(at.begin, at.end - at.begin)));
    ELMS_RETURN_IF_ERROR(pass.run(shared_layers(), cancel));
    if (keep_probability != nullptr && decides) pass.save();
    if (keep_probability != nullptr)
      ELMS_RETURN_IF_ERROR(score_window(at, windows.count(), keep_probability));
    if (keep_probability != nullptr && decides) pass.restore();
    if (!decides) continue;
    ELMS_RETURN_IF_ERROR(pass.run(parts->decision_layers, cancel));
    pool_states();
  }
  parts->settings.pool->rest();
  for (std::size_t t = 0; keep_probability != nullptr && windows.count() > 1 && t < tokens.size(); ++t) {
    keep_probability[t] /= windows.total_weight(t);
  }
  return {};
}

Status Encoder::Impl::score_window(const TokenWindow& at, std::size_t n_windows, float* keep_probability) {
  ELMS_RETURN_IF_ERROR(pass.run(score_layers(), cancel));
  const auto d = static_cast<std::size_t>(config().d_model);
  for (std::size_t t = at.begin; t < at.end; ++t) {
    const float probability =
        keep_probability_of(parts->score, pass.states().subspan((t - at.begin + 1) * d, d));
    keep_probability[t] += n_windows == 1 ? probability : probability * TokenWindows::weight(at, t);
  }
  return {};
}

void Encoder::Impl::pool_states() noexcept {
  const std::span<const float> states = pass.states();
  const std::size_t d = pooled_sum.size();
  for (std::size_t begin = 0; begin < states.size(); begin += d) {
    for (std::size_t c = 0; c < d; ++c) pooled_sum[c] += static_cast<double>(states[begin + c]);
  }
}

void Encoder::Impl::finish_decision(std::size_t n_tokens, float ttft_share, float tpot_share,
                                    std::span<float> quality) noexcept {
  const TokenWindows windows(n_tokens, static_cast<std::size_t>(model->window_tokens()));
  std::size_t n_rows = 0;
  for (std::size_t i = 0; i < windows.count(); ++i) n_rows += windows[i].end - windows[i].begin + 2;
  for (std::size_t c = 0; c < pooled.size(); ++c) {
    pooled[c] = static_cast<float>(pooled_sum[c] / static_cast<double>(n_rows));
  }
  strategy_qualities(parts->decision, pooled, ttft_share, tpot_share, decision_hidden, quality);
}

Status Encoder::Impl::check_score(std::span<const TokenId> tokens,
                                  std::span<const float> keep_probability) const {
  if (!model->has_score_head())
    return unsupported(parts->file.gguf().name(), ": the encoder has no score head");
  if (keep_probability.size() != tokens.size()) {
    return invalid_argument("encoder: ", tokens.size(), " tokens, but room for ", keep_probability.size(),
                            " scores");
  }
  return check_tokens(tokens);
}

Status Encoder::Impl::check_decide(float ttft_share, float tpot_share, std::span<const float> quality) const {
  if (!model->has_decision_head())
    return unsupported(parts->file.gguf().name(), ": the encoder has no decision head");
  const std::size_t n = model->widths().size() * model->keep_ratios().size();
  if (quality.size() != n) {
    return invalid_argument("encoder: the grid has ", n, " strategies, but there is room for ",
                            quality.size());
  }
  for (const float share : {ttft_share, tpot_share}) {
    if (!(share > 0.0f && share <= 1.0f)) {
      return invalid_argument("encoder: a share of the latency is in (0, 1], found ",
                              static_cast<double>(share));
    }
  }
  return {};
}

Result<std::unique_ptr<Encoder>> Encoder::create(std::shared_ptr<const EncoderModel> model) {
  if (model == nullptr) return invalid_argument("encoder: the model is null");
  std::unique_ptr<Impl> impl(new (std::nothrow) Impl);
  if (impl == nullptr) return error(StatusCode::kOutOfMemory, "encoder: out of memory");
  impl->parts = model->parts_.get();
  const EncoderConfig& config = model->config();
  ELMS_ASSIGN_OR_RETURN(impl->pass, EncoderPass::create(*impl->parts));
  ELMS_ASSIGN_OR_RETURN(impl->window,
                        Buffer<PlacedToken>::uninitialized(static_cast<std::size_t>(config.max_positions)));
  if (model->has_decision_head()) {
    const auto d = static_cast<std::size_t>(config.d_model);
    ELMS_ASSIGN_OR_RETURN(impl->pooled_sum, Buffer<double>::uninitialized(d));
    ELMS_ASSIGN_OR_RETURN(impl->pooled, Buffer<float>::uninitialized(d));
    ELMS_ASSIGN_OR_RETURN(impl->decision_hidden,
                          Buffer<float>::uninitialized(impl->parts->decision.hidden_bias.size()));
  }
  impl->model = std::move(model);
  std::unique_ptr<Encoder> encoder(new (std::nothrow) Encoder(std::move(impl)));
  if (encoder == nullptr) return error(StatusCode::kOutOfMemory, "encoder: out of memory");
  return encoder;
}

Encoder::Encoder(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Encoder::~Encoder() = default;

void Encoder::set_cancel(const CancelToken* cancel) noexcept {
  impl_->cancel = cancel;
}
const EncoderModel& Encoder::model() const noexcept {
  return *impl_->model;
}

Status Encoder::score(std::span<const TokenId> tokens, std::span<float> keep_probability) {
  ELMS_RETURN_IF_ERROR(impl_->check_score(tokens, keep_probability));
  if (tokens.empty()) return {};
  return impl_->run_windows(tokens, keep_probability.data(), false);
}

Status Encoder::decide(std::span<const TokenId> tokens, float ttft_share, float tpot_share,
                       std::span<float> quality) {
  ELMS_RETURN_IF_ERROR(impl_->check_decide(ttft_share, tpot_share, quality));
  ELMS_RETURN_IF_ERROR(impl_->check_tokens(tokens));
  ELMS_RETURN_IF_ERROR(impl_->run_windows(tokens, nullptr, true));
  impl_->finish_decision(tokens.size(), ttft_share, tpot_share, quality);
  return {};
}

Status Encoder::score_and_decide(std::span<const TokenId> tokens, std::span<float> keep_probability,
                                 float ttft_share, float tpot_share, std::span<float> quality) {
  ELMS_RETURN_IF_ERROR(impl_->check_score(tokens, keep_probability));
  ELMS_RETURN_IF_ERROR(impl_->check_decide(ttft_share, tpot_share, quality));
  ELMS_RETURN_IF_ERROR(impl_->run_windows(tokens, tokens.empty() ? nullptr : keep_probability.data(), true));
  impl_->finish_decision(tokens.size(), ttft_share, tpot_share, quality);
  return {};
}

Status Encoder::hidden(std::span<const TokenId> tokens, std::span<float> states) {
  ELMS_RETURN_IF_ERROR(impl_->check_tokens(tokens));
  if (tokens.size() > static_cast<std::size_t>(impl_->model->window_tokens())) {
    return invalid_argument("encoder: ", tokens.size(), " tokens do not fit a window of ",
                            impl_->model->window_tokens());
  }
  const std::size_t n = (tokens.size() + 2) * static_cast<std::size_t>(impl_->config().d_model);
  if (states.size() != n)
    return invalid_argument("encoder: there are ", n, " states, but room for ", states.size());
  ELMS_RETURN_IF_ERROR(impl_->embed_window(tokens));
  ELMS_RETURN_IF_ERROR(impl_->pass.run(impl_->parts->layers, impl_->cancel));
  impl_->parts->settings.pool->rest();
  std::copy_n(impl_->pass.states().data(), n, states.data());
  return {};
}

Status Encoder::hidden_batch(std::span<const TokenId> tokens, std::span<const std::uint8_t> mask,
                             std::size_t length, std::span<float> states) {
  const auto d = static_cast<std::size_t>(impl_->config().d_model);
  if (length == 0 || length > impl_->window.size() || tokens.size() % length != 0 ||
      mask.size() != tokens.size() || states.size() != tokens.size() * d) {
    return invalid_argument("encoder: a batch of ", tokens.size(), " tokens in chunks of ", length,
                            " with a mask of ", mask.size(), " and room for ", states.size(),
                            " states, at most ", impl_->window.size(), " tokens a chunk");
  }
  ELMS_RETURN_IF_ERROR(impl_->check_tokens(tokens));
  for (std::size_t chunk = 0; chunk < tokens.size(); chunk += length) {
    std::size_t n = 0;
    for (std::size_t i = 0; i < length; ++i) {
      if (mask[chunk + i] != 0) impl_->window[n++] = {tokens[chunk + i], static_cast<std::int32_t>(i)};
    }
    float* out = states.data() + chunk * d;
    std::fill_n(out, length * d, 0.0f);
    if (n == 0) continue;
    ELMS_RETURN_IF_ERROR(impl_->pass.embed(std::span<const PlacedToken>(impl_->window).first(n)));
    ELMS_RETURN_IF_ERROR(impl_->pass.run(impl_->parts->layers, impl_->cancel));
    for (std::size_t i = 0; i < n; ++i) {
      std::copy_n(impl_->pass.states().data() + i * d, d,
                  out + static_cast<std::size_t>(impl_->window[i].position) * d);
    }
  }
  impl_->parts->settings.pool->rest();
  return {};
}

std::size_t Encoder::scratch_bytes() const noexcept {
  return impl_->pass.scratch_bytes() + impl_->window.size_bytes() + impl_->pooled_sum.size_bytes() +
         impl_->pooled.size_bytes() + impl_->decision_hidden.size_bytes();
}

}  // namespace elms::inline v0::detail
