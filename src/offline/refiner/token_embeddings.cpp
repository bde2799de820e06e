#include "offline/refiner/token_embeddings.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "elms/detail/error.hpp"
#include "offline/random.hpp"
#include "offline/train/ops.hpp"
#include "offline/train/read_source.hpp"

namespace elms::inline v0::offline::refiner {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr std::size_t kNear = 2, kWide = 8;                ///< places before and behind a token
constexpr std::size_t kNearContexts = 1000;                ///< most frequent tokens, for each near place
constexpr std::size_t kWideContexts = 2000;                ///< for all wide places together
constexpr std::size_t kExtraDimensions = 32, kRounds = 4;  ///< of the randomised SVD
constexpr double kContextPower = 0.75;  ///< of a context's frequency: rare ones count less (Levy et al. 2015)
constexpr float kValuePower = 0.25f;    ///< of the singular values

/// Tokens by frequency: the rank of each, and how many there are in all.
std::vector<std::size_t> frequency_ranks(std::span<const TokenId> tokens, std::size_t n_vocab) {
  std::vector<std::size_t> counts(n_vocab, 0), order(n_vocab), ranks(n_vocab);
  for (const TokenId token : tokens) ++counts[static_cast<std::size_t>(token)];
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return counts[a] > counts[b]; });
  for (std::size_t rank = 0; rank < n_vocab; ++rank) ranks[order[rank]] = rank;
  return ranks;
}

/// [n_vocab, contexts]: how often a token has each context. A document's contexts end with it.
class ContextCounts {
 public:
  ContextCounts(std::size_t n_vocab, std::vector<std::size_t> ranks)
      : ranks_(std::move(ranks)),
        n_near_(std::min(kNearContexts, n_vocab)),
        n_wide_(std::min(kWideContexts, n_vocab)),
        counts_(Matrix::Zero(static_cast<Eigen::Index>(n_vocab),
                             static_cast<Eigen::Index>(2 * kNear * n_near_ + n_wide_))) {}

  void add(std::span<const TokenId> document, float weight) {
    for (std::size_t i = 0; i < document.size(); ++i) {
      const std::size_t end = std::min(document.size(), i + kWide + 1);
      for (std::size_t j = i + 1; j < end; ++j) {
        add_pair(document[i], document[j], kNear + (j - i) - 1, j - i, weight);
        add_pair(document[j], document[i], kNear - (j - i), j - i, weight);
      }
    }
  }
  /// Counts to positive pointwise mutual information; near and wide contexts apart, since they are different
  /// draws.
  Matrix information() && {
    for (std::size_t place = 0; place < 2 * kNear; ++place) to_information(place * n_near_, n_near_);
    to_information(2 * kNear * n_near_, n_wide_);
    return std::move(counts_);
  }

 private:
  void add_pair(TokenId token, TokenId context, std::size_t place, std::size_t distance, float weight) {
    const std::size_t rank = ranks_[static_cast<std::size_t>(context)];
    float* const row = counts_.row(token).data();
    if (distance <= kNear && rank < n_near_) row[place * n_near_ + rank] += weight;
    if (rank < n_wide_) row[2 * kNear * n_near_ + rank] += weight / static_cast<float>(distance);
  }
  void to_information(std::size_t first, std::size_t n) {
    auto part = counts_.middleCols(static_cast<Eigen::Index>(first), static_cast<Eigen::Index>(n));
    const Eigen::VectorXf of_token = part.rowwise().sum();
    const Eigen::RowVectorXd of_context =
        part.colwise().sum().cast<double>().array().pow(kContextPower).matrix();
    const double total = of_context.sum();
    for (Eigen::Index t = 0; t < part.rows(); ++t) {
      for (Eigen::Index c = 0; c < part.cols(); ++c) {
        float& value = part(t, c);
        if (value <= 0.0f) continue;
        const double expected = static_cast<double>(of_token[t]) * of_context[c] / total;
        value = std::max(0.0f, static_cast<float>(std::log(static_cast<double>(value) / expected)));
      }
    }
  }

  std::vector<std::size_t> ranks_;
  std::size_t n_near_, n_wide_;
  Matrix counts_;
};

Matrix orthonormal_columns(const Matrix& a) {
  const Eigen::HouseholderQR<Matrix> qr(a);
  return qr.householderQ() * Matrix::Identity(a.rows(), a.cols());
}

/// [n_vocab, n]: rows of the best approximation of that rank, singular values to kValuePower (Halko et al.
/// 2011, with power iterations).
Matrix reduced(ThreadPool& pool, const Matrix& m, std::size_t n, std::uint64_t seed) {
  const auto rows = static_cast<std::size_t>(m.rows()), cols = static_cast<std::size_t>(m.cols());
  const std::size_t k = std::min({n + kExtraDimensions, rows, cols});
  Matrix right(k, cols);
  for (std::size_t i = 0; i < k; ++i)
    draw_row(mixed(seed + i), cols, 0.0f, 1.0f, right.row(static_cast<Eigen::Index>(i)).data());
  Matrix left;
  for (std::size_t round = 0; round < kRounds; ++round) {
    if (round > 0) right = orthonormal_columns(right.transpose()).transpose();
    left.resize(m.rows(), static_cast<Eigen::Index>(k));
    train::linear_forward<float>(pool, rows, cols, k, m.data(), right.data(), nullptr, left.data());
    left = orthonormal_columns(left);
    right.setZero();  // left^T m
    train::linear_backward<float>(pool, rows, cols, k, m.data(), right.data(), left.data(), nullptr, false,
                                  right.data(), nullptr);
  }
  // m is about left * right, and right = U S V^T with U S^2 U^T = right right^T.
  const Eigen::MatrixXd square = right.cast<double>() * right.cast<double>().transpose();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(square);  // ascending
  const auto kept = static_cast<Eigen::Index>(std::min(n, k));
  const Eigen::RowVectorXf scale = solver.eigenvalues()
                                       .tail(kept)
                                       .cwiseMax(0.0)
                                       .array()
                                       .pow(0.5 * static_cast<double>(kValuePower))
                                       .cast<float>()
                                       .matrix()
                                       .transpose();
  Matrix out = left * solver.eigenvectors().rightCols(kept).cast<float>();
  out.array().rowwise() *= scale.array();
  return out;
}

/// Rows without mean, all of one length. Those of tokens that have no context stay as they were.
void write_rows(const Matrix& rows, const std::vector<bool>& has_context, std::size_t d, float* embedding) {
  const Eigen::RowVectorXf mean = rows.colwise().mean();
  for (Eigen::Index t = 0; t < rows.rows(); ++t) {
    if (!has_context[static_cast<std::size_t>(t)]) continue;
    const Eigen::RowVectorXf row = rows.row(t) - mean;
    const float norm = std::max(row.norm(), 1e-12f);
    const float scale = kEmbeddingDeviation * std::sqrt(static_cast<float>(d)) / norm;
    float* const out = embedding + static_cast<std::size_t>(t) * d;
    for (Eigen::Index i = 0; i < row.size(); ++i) out[i] = scale * row[i];
  }
}

}  // namespace

Status embed_tokens(std::string_view data, const std::shared_ptr<ThreadPool>& pool,
                    const ProgressCallback& progress, RefinerModel& model) {
  const EncoderShape& shape = model.layout.shape();
  ELMS_ASSIGN_OR_RETURN(const auto sources, train::parse_data_sources(data));
  train::DatasetOptions options;
  options.length = shape.max_positions;
  options.pool = pool;
  ProgressMeter meter(progress, "tokenise");
  std::vector<train::ReadSource> read;
  std::vector<TokenId> all;
  for (const train::DataSource& source : sources) {
    const double share = 1.0 / static_cast<double>(sources.size());
    ELMS_ASSIGN_OR_RETURN(read.emplace_back(),
                          train::read_source(source, *model.tokenizer, options, *pool, meter,
                                             share * static_cast<double>(read.size()), share));
    all.insert(all.end(), read.back().items.tokens.begin(), read.back().items.tokens.end());
  }
  ContextCounts counts(shape.n_vocab, frequency_ranks(all, shape.n_vocab));
  for (std::size_t s = 0; s < sources.size(); ++s) {
    std::span<const TokenId> tokens = read[s].items.tokens;
    for (const std::size_t size : read[s].items.sizes) {
      counts.add(tokens.first(size), static_cast<float>(sources[s].weight));
      tokens = tokens.subspan(size);
    }
  }
  const Matrix information = std::move(counts).information();
  std::vector<bool> has_context(shape.n_vocab);
  for (std::size_t t = 0; t < shape.n_vocab; ++t)
    has_context[t] = information.row(static_cast<Eigen::Index>(t)).maxCoeff() > 0.0f;
  const Matrix rows = reduced(*pool, information, shape.d_model, 1);
  if (rows.cols() < static_cast<Eigen::Index>(shape.d_model))
    return detail::invalid_argument("refiner: ", shape.n_vocab, " tokens give no embeddings of ",
                                    shape.d_model, " values");
  write_rows(rows, has_context, shape.d_model, model.params.data() + model.layout.token_embedding);
  return {};
}

}  // namespace elms::inline v0::offline::refiner
