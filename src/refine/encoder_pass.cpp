#include "refine/encoder_pass.hpp"

#include <algorithm>
#include <cstring>

#include "elms/detail/error.hpp"
#include "refine/encoder_norm.hpp"

namespace elms::inline v0::detail {
namespace {

std::size_t most_scratch_bytes(const EncoderParts& parts) noexcept {
  std::size_t n = 0;
  for_each_linear(parts, [&](const Linear& linear) {
    n = std::max(n, linear_scratch_bytes(linear, parts.file.config().max_positions));
  });
  return n;
}

}  // namespace

Result<EncoderPass> EncoderPass::create(const EncoderParts& parts) {
  const EncoderConfig& config = parts.file.config();
  EncoderPass pass;
  pass.parts_ = &parts;
  const auto take = [&](Buffer<float>& buffer, std::int32_t cols) -> Status {
    const std::size_t n = static_cast<std::size_t>(config.max_positions) * static_cast<std::size_t>(cols);
    ELMS_ASSIGN_OR_RETURN(buffer, Buffer<float>::uninitialized(n + kXnnOverread));
    std::fill_n(buffer.data() + n, kXnnOverread, 0.0f);
    return {};
  };
  ELMS_ASSIGN_OR_RETURN(pass.attention_,
                        EncoderAttention::create(config, config.max_positions, parts.settings));
  for (Buffer<float>* buffer : {&pass.q_, &pass.k_, &pass.v_, &pass.attended_}) {
    ELMS_RETURN_IF_ERROR(take(*buffer, config.d_inner));
  }
  ELMS_RETURN_IF_ERROR(take(pass.hidden_, config.d_model));
  ELMS_RETURN_IF_ERROR(take(pass.projected_, std::max(config.d_inner, config.d_model)));
  ELMS_RETURN_IF_ERROR(take(pass.wide_, std::max(config.d_ff, parts.widen.n_in)));
  if (!parts.decision.widths.empty()) ELMS_RETURN_IF_ERROR(take(pass.saved_, config.d_model));
  if (config.bottleneck) {
    ELMS_RETURN_IF_ERROR(take(pass.inner_, config.d_inner));
    ELMS_RETURN_IF_ERROR(take(pass.shared_, config.d_inner));
  }
  ELMS_ASSIGN_OR_RETURN(pass.lhs_, Buffer<std::uint8_t>::uninitialized(most_scratch_bytes(parts)));
  return pass;
}

Status EncoderPass::linear(const Linear& linear, const float* x, float* out) {
  const LinearCall call[] = {{&linear, out}};
  return run_linear(call, x, m_, lhs_.data(), parts_->settings);
}

void EncoderPass::norm(const EncoderNormWeights& weights, const float* x, const float* residual,
                       std::int32_t n, float* out) {
  run_norm(weights, config(), x, residual, m_, n, out, *parts_->settings.pool);
}

Status EncoderPass::embed(std::span<const PlacedToken> tokens) {
  m_ = static_cast<std::int32_t>(tokens.size());
  const bool widens = parts_->widen.n_out > 0;
  const auto d = static_cast<std::size_t>(config().d_model),
             e = static_cast<std::size_t>(config().d_embedding);
  const std::size_t n_parts = config().trigram ? 3 : 1;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    float* row = (widens ? wide_.data() : hidden_.data()) + i * e * n_parts;
    const auto take = [&](std::size_t neighbour, std::int32_t position, float* out) {
      if (neighbour < tokens.size() &&
          tokens[neighbour].position == position) {  // i - 1 of the first is no index
        parts_->token_table.decode_row(static_cast<std::uint64_t>(tokens[neighbour].token), out);
      } else {
        std::fill_n(out, e, 0.0f);
      }
    };
    if (config().trigram) {
      take(i + 1, tokens[i].position + 1, row);
      take(i, tokens[i].position, row + e);
      take(i - 1, tokens[i].position - 1, row + 2 * e);
    } else {
      take(i, tokens[i].position, row);
    }
  }
  if (widens) ELMS_RETURN_IF_ERROR(linear(parts_->widen, wide_.data(), hidden_.data()));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    float* row = hidden_.data() + i * d;
    float* position = projected_.data();
    parts_->position_table.decode_row(static_cast<std::uint64_t>(tokens[i].position), position);
    for (std::size_t c = 0; c < d; ++c) row[c] += position[c] + parts_->token_type[c];
  }
  norm(parts_->embedding_norm, hidden_.data(), nullptr, config().d_model, hidden_.data());
  return {};
}

Status EncoderPass::run(std::span<const EncoderLayer> layers, const CancelToken* cancel) {
  for (const EncoderLayer& layer : layers) {
    if (cancel != nullptr && cancel->cancelled()) {
      return error(StatusCode::kCancelled, "cancelled before layer ", &layer - layers.data(),
                   " of the encoder");
    }
    ELMS_RETURN_IF_ERROR(run_layer(layer));
  }
  return {};
}

Status EncoderPass::run_layer(const EncoderLayer& layer) {
  float* inner = hidden_.data();
  if (config().bottleneck) {
    inner = inner_.data();
    const LinearCall calls[] = {{&layer.bottleneck_in, inner}, {&layer.bottleneck_attention, shared_.data()}};
    const std::size_t n_calls = config().bottleneck_attention ? 1 : 2;
    ELMS_RETURN_IF_ERROR(
        run_linear(std::span(calls).first(n_calls), hidden_.data(), m_, lhs_.data(), parts_->settings));
    norm(layer.bottleneck_in_norm, inner, nullptr, config().d_inner, inner);
    if (n_calls == 2) {
      norm(layer.bottleneck_attention_norm, shared_.data(), nullptr, config().d_inner, shared_.data());
    }
  }
  ELMS_RETURN_IF_ERROR(attend(layer, inner));
  for (const FeedForward& ffn : layer.ffn) ELMS_RETURN_IF_ERROR(feed_forward(ffn, inner));
  if (!config().bottleneck) return {};
  ELMS_RETURN_IF_ERROR(linear(layer.bottleneck_out, inner, projected_.data()));
  norm(layer.bottleneck_out_norm, projected_.data(), hidden_.data(), config().d_model, hidden_.data());
  return {};
}

/// inner = norm(output(attention) + inner).
Status EncoderPass::attend(const EncoderLayer& layer, float* inner) {
  const LinearCall calls[] = {{&layer.query, q_.data()}, {&layer.key, k_.data()}, {&layer.value, v_.data()}};
  if (config().bottleneck && !config().bottleneck_attention) {
    ELMS_RETURN_IF_ERROR(
        run_linear(std::span(calls).first(2), shared_.data(), m_, lhs_.data(), parts_->settings));
    ELMS_RETURN_IF_ERROR(
        run_linear(std::span(calls).last(1), hidden_.data(), m_, lhs_.data(), parts_->settings));
  } else {
    ELMS_RETURN_IF_ERROR(run_linear(calls, inner, m_, lhs_.data(), parts_->settings));
  }
  attention_.run(q_.data(), k_.data(), v_.data(), m_, attended_.data());
  ELMS_RETURN_IF_ERROR(linear(layer.output, attended_.data(), projected_.data()));
  norm(layer.output_norm, projected_.data(), inner, config().d_inner, inner);
  return {};
}

/// inner = norm(down(activation(up(inner))) + inner).
Status EncoderPass::feed_forward(const FeedForward& ffn, float* inner) {
  ELMS_RETURN_IF_ERROR(linear(ffn.up, inner, wide_.data()));
  ELMS_RETURN_IF_ERROR(linear(ffn.down, wide_.data(), projected_.data()));
  norm(ffn.norm, projected_.data(), inner, config().d_inner, inner);
  return {};
}

void EncoderPass::save() noexcept {
  std::memcpy(saved_.data(), hidden_.data(), states().size_bytes());
}
void EncoderPass::restore() noexcept {
  std::memcpy(hidden_.data(), saved_.data(), states().size_bytes());
}

std::size_t EncoderPass::scratch_bytes() const noexcept {
  std::size_t n = lhs_.size_bytes() + attention_.scratch_bytes();
  for (const Buffer<float>* buffer :
       {&hidden_, &saved_, &inner_, &shared_, &q_, &k_, &v_, &attended_, &projected_, &wide_}) {
    n += buffer->size_bytes();
  }
  return n;
}

}  // namespace elms::inline v0::detail
