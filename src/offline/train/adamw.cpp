#include "offline/train/adamw.hpp"

#include <algorithm>
#include <cmath>

#include "elms/detail/error.hpp"

namespace elms::inline v0::offline::train {
namespace {

constexpr std::size_t kBlockElems = 16384;

double sum_of_squares(const float* values, std::size_t n) noexcept {
  constexpr std::size_t kLanes = 8;  // independent sums: the compiler may not reorder one
  double sums[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const auto value = static_cast<double>(values[i + lane]);
      sums[lane] += value * value;
    }
  }
  double sum = 0.0;
  for (; i < n; ++i) sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  for (const double lane : sums) sum += lane;
  return sum;
}

/// What is the same for all parameters of a step.
struct StepFactors {
  float beta1, beta2, gradient_scale;
  float step_size;            ///< rate / (1 - beta1^t)
  float inv_root_correction;  ///< 1 / sqrt(1 - beta2^t)
  float epsilon;
};

void update(const StepFactors& f, float keep, std::size_t n, float* __restrict gradient,
            float* __restrict mean, float* __restrict variance, float* __restrict param) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    const float g = f.gradient_scale * gradient[i];
    const float m = f.beta1 * mean[i] + (1.0f - f.beta1) * g;
    const float v = f.beta2 * variance[i] + (1.0f - f.beta2) * g * g;
    param[i] = keep * param[i] - f.step_size * m / (std::sqrt(v) * f.inv_root_correction + f.epsilon);
    mean[i] = m;
    variance[i] = v;
    gradient[i] = 0.0f;
  }
}

}  // namespace

Result<AdamW> AdamW::create(std::span<const ParameterTensor> tensors, const AdamWOptions& options) {
  AdamW adam;
  adam.options_ = options;
  std::size_t end = 0;
  for (const ParameterTensor& tensor : tensors) {
    adam.add_blocks(end, end + tensor.size(), tensor.rows > 1);
    end += tensor.size();
  }
  ELMS_RETURN_IF_ERROR(adam.take_moments(end));
  return adam;
}

Result<AdamW> AdamW::create(std::size_t n, const AdamWOptions& options) {
  AdamW adam;
  adam.options_ = options;
  adam.add_blocks(0, n, true);
  ELMS_RETURN_IF_ERROR(adam.take_moments(n));
  return adam;
}

void AdamW::add_blocks(std::size_t begin, std::size_t end, bool decays) {
  for (; begin < end; begin += kBlockElems)
    blocks_.push_back({begin, std::min(end, begin + kBlockElems), decays});
}

void AdamW::slow_down(std::size_t begin, std::size_t n, double rate_share) noexcept {
  for (Block& block : blocks_) {
    if (block.begin >= begin && block.end <= begin + n) block.rate_share = rate_share;
  }
}

Status AdamW::take_moments(std::size_t n) {
  block_sums_.resize(blocks_.size());
  ELMS_ASSIGN_OR_RETURN(mean_, detail::Buffer<float>::zeroed(n));
  ELMS_ASSIGN_OR_RETURN(variance_, detail::Buffer<float>::zeroed(n));
  return {};
}

double AdamW::norm(ThreadPool& pool, std::span<const float> gradients) noexcept {
  pool.parallel_for(blocks_.size(), [&](std::size_t i) {
    block_sums_[i] = sum_of_squares(gradients.data() + blocks_[i].begin, blocks_[i].end - blocks_[i].begin);
  });
  double sum = 0.0;
  for (const double block : block_sums_) sum += block;
  return std::sqrt(sum);
}

void AdamW::step(ThreadPool& pool, std::uint64_t t, double rate, double gradient_scale,
                 std::span<float> gradients, std::span<float> params) noexcept {
  const auto steps = static_cast<double>(t);
  StepFactors factors;
  factors.beta1 = static_cast<float>(options_.beta1);
  factors.beta2 = static_cast<float>(options_.beta2);
  factors.gradient_scale = static_cast<float>(gradient_scale);
  factors.step_size = static_cast<float>(rate / (1.0 - std::pow(options_.beta1, steps)));
  factors.inv_root_correction = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(options_.beta2, steps)));
  factors.epsilon = static_cast<float>(options_.epsilon);
  pool.parallel_for(blocks_.size(), [&](std::size_t i) {
    const Block& block = blocks_[i];
    StepFactors own = factors;
    own.step_size = static_cast<float>(block.rate_share * static_cast<double>(factors.step_size));
    const auto kept = static_cast<float>(1.0 - block.rate_share * rate * options_.weight_decay);
    update(own, block.decays ? kept : 1.0f, block.end - block.begin, gradients.data() + block.begin,
           mean_.data() + block.begin, variance_.data() + block.begin, params.data() + block.begin);
  });
}

}  // namespace elms::inline v0::offline::train
