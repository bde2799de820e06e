// A decoder written as plainly as possible, in double, one token after the other: what the fast one is checked against.
// It knows nothing of panels, batches or caches of halves; only the KV policy for heads that were cut is the same.
#pragma once

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "elms/detail/error.hpp"
#include "elms/detail/model_source.hpp"

namespace elms_test {

class ReferenceDecoder {
 public:
  using Row = std::vector<double>;

  explicit ReferenceDecoder(const elms::detail::ModelSource& source) : source_(source), config_(source.config()) {
    layers_.resize(config_.layers.size());
  }

  /// Logits after one more token, computed with these slices of every layer.
  Row eval(elms::TokenId token, const std::vector<elms::LayerShape>& slices) {
    Row x = matrix("token_embd.weight")[static_cast<std::size_t>(token)];
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const std::string blk = "blk." + std::to_string(l) + ".";
      add(x, attention(l, blk, norm(x, vector(blk + "attn_norm.weight")), slices[l]));
      add(x, ffn(blk, norm(x, vector(blk + "ffn_norm.weight")), slices[l].ff));
    }
    ++position_;
    const Row h = norm(x, vector("output_norm.weight"));
    return product(matrix(config_.tied_head ? "token_embd.weight" : "output.weight"), h);
  }

  using Matrix = std::vector<Row>;
  /// A tensor in double, to be changed before it is used; one that the source lacks may be given its rows.
  Matrix& editable(const std::string& name) {
    matrix(name);
    return matrices_[name];
  }

 private:
  struct Entry {
    Matrix k, v;  ///< [kv_heads of that step][head_dim]
  };

  const Matrix& matrix(const std::string& name) {
    Matrix& m = matrices_[name];
    if (m.empty()) {
      const elms::detail::SourceTensor* tensor = source_.find(name);
      if (tensor == nullptr) return m;
      std::vector<float> row(tensor->cols);
      for (std::uint64_t r = 0; r < tensor->rows; ++r) {
        tensor->decode_row(r, row.data());
        m.emplace_back(row.begin(), row.end());
      }
    }
    return m;
  }
  Row vector(const std::string& name) {
    const Matrix& m = matrix(name);
    return m.empty() ? Row{} : m[0];
  }

  static void add(Row& x, const Row& y) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }
  /// Rows of w times the beginning of their columns that x has.
  static Row product(const Matrix& w, const Row& x) {
    Row y;
    for (const Row& row : w) {
      double sum = 0;
      for (std::size_t i = 0; i < x.size(); ++i) sum += row[i] * x[i];
      y.push_back(sum);
    }
    return y;
  }
  Row norm(const Row& x, const Row& weight) const {
    double squares = 0;
    for (double v : x) squares += v * v;
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(x.size()) + static_cast<double>(config_.rms_epsilon));
    Row y = x;
    for (std::size_t i = 0; i < y.size(); ++i) y[i] *= scale * weight[i];
    return y;
  }
  void rotate(Row& head) const {
    const auto half = static_cast<std::size_t>(config_.rope.n_rot / 2);
    for (std::size_t i = 0; i < half; ++i) {
      const double divisor = config_.rope.divisors.empty() ? 1.0 : static_cast<double>(config_.rope.divisors[i]);
      const double angle = position_ *
                           std::pow(static_cast<double>(config_.rope.theta), -2.0 * static_cast<double>(i) / config_.rope.n_rot) /
                           (divisor * static_cast<double>(config_.rope.linear_factor));
      const bool pairs = config_.rope.style == elms::RopeStyle::kInterleaved;
      double& a = head[pairs ? 2 * i : i];
      double& b = head[pairs ? 2 * i + 1 : i + half];
      const double x = a, y = b;
      a = x * std::cos(angle) - y * std::sin(angle);
      b = x * std::sin(angle) + y * std::cos(angle);
    }
  }
  /// Head h of x * w^T + b, normed and rotated where asked.
  Row head(const std::string& name, const Row& x, std::size_t h, bool rotated, const std::string& norm_name) {
    const auto hd = static_cast<std::size_t>(config_.head_dim);
    const Matrix& w = matrix(name + ".weight");
    const Matrix rows(w.begin() + static_cast<std::ptrdiff_t>(h * hd), w.begin() + static_cast<std::ptrdiff_t>((h + 1) * hd));
    Row y = product(rows, x);
    const Row bias = vector(name + ".bias");
    for (std::size_t i = 0; i < hd && !bias.empty(); ++i) y[i] += bias[h * hd + i];
    const Row weight = norm_name.empty() ? Row{} : vector(norm_name);
    if (!weight.empty()) y = norm(y, weight);
    if (rotated) rotate(y);
    return y;
  }

  Row attention(std::size_t l, const std::string& blk, const Row& x, const elms::LayerShape& slice) {
    const elms::LayerShape& full = config_.layers[l];
    const auto hd = static_cast<std::size_t>(config_.head_dim);
    Entry entry;
    for (std::size_t g = 0; g < static_cast<std::size_t>(slice.kv_heads); ++g) {
      entry.k.push_back(head(blk + "attn_k", x, g, true, blk + "attn_k_norm.weight"));
      entry.v.push_back(head(blk + "attn_v", x, g, false, ""));
    }
    layers_[l].push_back(entry);
    const int group = full.q_heads / full.kv_heads, kept = slice.q_heads / slice.kv_heads;
    Row out(x.size(), 0.0);
    for (int g = 0; g < slice.kv_heads; ++g) {
      for (int rank = 0; rank < kept; ++rank) {
        const auto h = static_cast<std::size_t>(g * group + rank);
        const Row q = head(blk + "attn_q", x, h, true, blk + "attn_q_norm.weight");
        const Row mixed = mix(layers_[l], static_cast<std::size_t>(g), q);
        const Matrix& wo = matrix(blk + "attn_output.weight");
        for (std::size_t r = 0; r < out.size(); ++r) {
          for (std::size_t i = 0; i < hd; ++i) out[r] += wo[r][h * hd + i] * mixed[i];
        }
      }
    }
    const Row bias = vector(blk + "attn_output.bias");
    if (!bias.empty()) add(out, bias);
    return out;
  }
  Row mix(const std::vector<Entry>& entries, std::size_t g, const Row& q) const {
    Row weights(entries.size(), 0.0), out(q.size(), 0.0);
    double total = 0;
    for (std::size_t p = 0; p < entries.size(); ++p) {
      if (entries[p].k.size() <= g) continue;  // the head was cut at that position
      double score = 0;
      for (std::size_t i = 0; i < q.size(); ++i) score += q[i] * entries[p].k[g][i];
      weights[p] = std::exp(score / std::sqrt(static_cast<double>(config_.head_dim)));
      total += weights[p];
    }
    for (std::size_t p = 0; p < entries.size(); ++p) {
      for (std::size_t i = 0; i < q.size() && weights[p] > 0; ++i) out[i] += weights[p] / total * entries[p].v[g][i];
    }
    return out;
  }
  Row ffn(const std::string& blk, const Row& x, int ff) {
    const Row gate = product(matrix(blk + "ffn_gate.weight"), x), up = product(matrix(blk + "ffn_up.weight"), x);
    Row active;
    for (std::size_t i = 0; i < static_cast<std::size_t>(ff); ++i) active.push_back(gate[i] / (1 + std::exp(-gate[i])) * up[i]);
    Row out = product(matrix(blk + "ffn_down.weight"), active);
    const Row bias = vector(blk + "ffn_down.bias");
    if (!bias.empty()) add(out, bias);
    return out;
  }

  const elms::detail::ModelSource& source_;
  const elms::ModelConfig& config_;
  std::map<std::string, Matrix> matrices_;
  std::vector<std::vector<Entry>> layers_;  ///< [n_layers][position]
  int position_ = 0;
};

}  // namespace elms_test
