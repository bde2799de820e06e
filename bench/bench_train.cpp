// bench_train [--seconds S] [--threads N] [NAME-PART]
//
// Times the ops of training, forward and backward, at the sizes of small models, on 1 .. N threads, and
// relates them to the f32 peak of as many cores, measured between the runs. Linear layers are checked against
// sums in double first. Times are of the wall clock; the share of the CPU time that the process got stands
// beside them, because on a machine that others use only that one means something.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "elms/thread_pool.hpp"
#include "limits.hpp"
#include "offline/train/kernels.hpp"
#include "offline/train/ops.hpp"

namespace train = elms::offline::train;

namespace {

struct Settings {
  double seconds = 0.5;
  std::size_t threads = 2;
  std::string filter;
};

struct TrainBench {
  Settings settings;
  elms_bench::MachineLimits limits;
  std::shared_ptr<elms::ThreadPool> pool;
  bool right = true;
};

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Prints one line. `operations` is 0 where arithmetic is not the limit.
void measure(TrainBench& bench, const std::string& name, double operations,
             const std::function<void()>& work) {
  if (name.find(bench.settings.filter) == std::string::npos) return;
  work();
  std::vector<double> wall, cpu, peak;
  double total = 0.0;
  while (total < bench.settings.seconds || wall.size() < 5) {
    peak.push_back(bench.limits.measure(elms_bench::Limit::kF32));
    const double wall_start = wall_seconds(), cpu_start = elms_bench::cpu_seconds();
    work();
    cpu.push_back(elms_bench::cpu_seconds() - cpu_start);
    wall.push_back(wall_seconds() - wall_start);
    total += wall.back();
  }
  const double threads = static_cast<double>(bench.pool->n_threads()), limit = median(peak);
  std::printf("%-44s %7.0f %10.3f %10.3f", name.c_str(), threads, 1e3 * median(wall), 1e3 * median(cpu));
  if (operations > 0.0) {
    std::printf(" %9.1f %8.1f %7.2f %7.2f", operations / median(wall) / 1e9, limit,
                operations / median(wall) / 1e9 / (limit * threads), operations / median(cpu) / 1e9 / limit);
  }
  std::printf("\n");
  std::fflush(stdout);
}

std::vector<float> random_values(std::size_t n) {
  std::mt19937 rng(static_cast<std::uint32_t>(n));
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& v : values) v = normal(rng);
  return values;
}

/// Whether a few elements of out [rows, cols], whose element is sum over l of a(row, l) * b(col, l), are
/// right.
bool spot_check(const std::vector<float>& out, std::size_t rows, std::size_t cols, std::size_t depth,
                const std::function<double(std::size_t, std::size_t)>& a,
                const std::function<double(std::size_t, std::size_t)>& b) {
  std::mt19937 rng(9);
  for (int i = 0; i < 64; ++i) {
    const std::size_t row = rng() % rows, col = rng() % cols;
    double sum = 0.0, size = 0.0;
    for (std::size_t l = 0; l < depth; ++l) {
      sum += a(row, l) * b(col, l);
      size += std::fabs(a(row, l) * b(col, l));
    }
    if (!(std::fabs(static_cast<double>(out[row * cols + col]) - sum) <= 1e-5 * size)) return false;
  }
  return true;
}

void bench_linear(TrainBench& bench, std::size_t n, std::size_t n_in, std::size_t n_out) {
  const std::string shape =
      " n=" + std::to_string(n) + " " + std::to_string(n_in) + "->" + std::to_string(n_out);
  if (("linear_forward linear_backward" + shape).find(bench.settings.filter) == std::string::npos) return;
  const std::vector<float> x = random_values(n * n_in), w = random_values(n_out * n_in),
                           dy = random_values(n * n_out);
  std::vector<float> y(n * n_out), dx(n * n_in), dw(n_out * n_in, 0.0f);
  elms::ThreadPool& pool = *bench.pool;
  train::linear_forward<float>(pool, n, n_in, n_out, x.data(), w.data(), nullptr, y.data());
  train::linear_backward<float>(pool, n, n_in, n_out, x.data(), w.data(), dy.data(), dx.data(), false,
                                dw.data(), nullptr);
  const bool right = spot_check(
                         y, n, n_out, n_in, [&](std::size_t r, std::size_t l) { return x[r * n_in + l]; },
                         [&](std::size_t c, std::size_t l) { return w[c * n_in + l]; }) &&
                     spot_check(
                         dx, n, n_in, n_out, [&](std::size_t r, std::size_t l) { return dy[r * n_out + l]; },
                         [&](std::size_t c, std::size_t l) { return w[l * n_in + c]; }) &&
                     spot_check(
                         dw, n_out, n_in, n, [&](std::size_t r, std::size_t l) { return dy[l * n_out + r]; },
                         [&](std::size_t c, std::size_t l) { return x[l * n_in + c]; });
  if (!right) std::printf("WRONG RESULT: linear%s\n", shape.c_str());
  bench.right = bench.right && right;
  const double operations = 2.0 * static_cast<double>(n * n_in) * static_cast<double>(n_out);
  measure(bench, "linear_forward" + shape, operations,
          [&] { train::linear_forward<float>(pool, n, n_in, n_out, x.data(), w.data(), nullptr, y.data()); });
  measure(bench, "linear_backward" + shape, 2 * operations, [&] {
    train::linear_backward<float>(pool, n, n_in, n_out, x.data(), w.data(), dy.data(), dx.data(), false,
                                  dw.data(), nullptr);
  });
}

void bench_attention(TrainBench& bench, const train::AttentionShape& s) {
  const std::size_t n = s.n_sequences * s.length, q_size = n * s.q_heads * s.head_dim,
                    kv_size = n * s.kv_heads * s.head_dim;
  const std::string shape = " " + std::to_string(s.n_sequences) + "x" + std::to_string(s.length) + " heads " +
                            std::to_string(s.q_heads) + "/" + std::to_string(s.kv_heads) + "x" +
                            std::to_string(s.head_dim);
  const std::vector<float> q = random_values(q_size), k = random_values(kv_size), v = random_values(kv_size);
  std::vector<float> y(q_size), dq(q_size), dk(kv_size), dv(kv_size), scratch(s.scratch_elems());
  // Only what is seen counts: half of all pairs.
  const double product = static_cast<double>(n * s.q_heads * s.head_dim) * static_cast<double>(s.length + 1);
  measure(bench, "attention_forward" + shape, 2 * product, [&] {
    train::attention_forward<float>(*bench.pool, s, q.data(), k.data(), v.data(), y.data(), scratch.data());
  });
  measure(bench, "attention_backward" + shape, 5 * product, [&] {
    train::attention_backward<float>(*bench.pool, s, q.data(), k.data(), v.data(), y.data(), dq.data(),
                                     dk.data(), dv.data(), scratch.data());
  });
}

void bench_rows(TrainBench& bench, std::size_t n, std::size_t d, std::size_t d_ff, std::size_t n_vocab) {
  elms::ThreadPool& pool = *bench.pool;
  const std::string rows = " n=" + std::to_string(n);
  const std::vector<float> gate = random_values(n * d_ff), up = random_values(n * d_ff),
                           x = random_values(n * d), weight = random_values(d);
  std::vector<float> y(n * d_ff), d_gate(n * d_ff), d_up(n * d_ff), inv(n), dx(n * d), dw(d);
  const std::string ff = rows + " d_ff=" + std::to_string(d_ff), model = rows + " d=" + std::to_string(d);
  measure(bench, "swiglu_forward" + ff, 0,
          [&] { train::swiglu_forward<float>(pool, n * d_ff, gate.data(), up.data(), y.data()); });
  measure(bench, "swiglu_backward" + ff, 0, [&] {
    train::swiglu_backward<float>(pool, n * d_ff, gate.data(), up.data(), y.data(), d_gate.data(),
                                  d_up.data());
  });
  measure(bench, "rms_norm_forward" + model, 0, [&] {
    train::rms_norm_forward<float>(pool, n, d, 1e-5f, x.data(), weight.data(), dx.data(), inv.data());
  });
  measure(bench, "rms_norm_backward" + model, 0, [&] {
    train::rms_norm_backward<float>(pool, n, d, x.data(), weight.data(), inv.data(), x.data(), dx.data(),
                                    dw.data());
  });
  const std::string vocab = rows + " vocab=" + std::to_string(n_vocab);
  const std::vector<float> logits = random_values(n * n_vocab), teacher(logits.rbegin(), logits.rend());
  std::vector<float> gradient(n * n_vocab);
  std::vector<double> row_loss(n);
  const std::vector<elms::TokenId> targets(n, 7);
  measure(bench, "cross_entropy" + vocab, 0, [&] {
    train::cross_entropy<float>(pool, targets, n_vocab, logits.data(), gradient.data(), row_loss.data());
  });
  measure(bench, "kl_divergence" + vocab, 0, [&] {
    train::kl_divergence<float>(pool, n, n_vocab, teacher.data(), logits.data(), gradient.data(),
                                row_loss.data());
  });
}

bool parse(int argc, char** argv, Settings& settings) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--seconds" && i + 1 < argc) {
      settings.seconds = std::strtod(argv[++i], nullptr);
    } else if (word == "--threads" && i + 1 < argc) {
      settings.threads = std::strtoul(argv[++i], nullptr, 10);
    } else if (word.rfind("--", 0) != 0) {
      settings.filter = word;
    } else {
      return false;
    }
  }
  return settings.threads >= 1;
}

}  // namespace

int main(int argc, char** argv) {
  TrainBench bench;
  if (!parse(argc, argv, bench.settings)) {
    std::fprintf(stderr, "usage: bench_train [--seconds S] [--threads N] [NAME-PART]\n");
    return 1;
  }
  std::printf("kernels %s, products by %s; peak of %s on one core\n\n", train::training_kernels().isa,
              train::training_kernels().tile_f32->name, bench.limits.isa());
  std::printf("%-44s %7s %10s %10s %9s %8s %7s %7s\n", "op", "threads", "wall ms", "CPU ms", "GFLOP/s",
              "peak", "share", "of CPU");
  for (std::size_t threads = 1; threads <= bench.settings.threads; ++threads) {
    auto pool = elms::ThreadPool::create(threads);
    if (!pool.has_value()) return 1;
    bench.pool = *pool;
    bench_linear(bench, 4096, 256, 256);
    bench_linear(bench, 4096, 256, 768);
    bench_linear(bench, 4096, 768, 256);
    bench_linear(bench, 4096, 320, 8192);
    bench_attention(bench, {8, 512, 8, 4, 32});
    bench_attention(bench, {8, 512, 4, 2, 64});
    bench_rows(bench, 4096, 256, 768, 8192);
  }
  return bench.right ? 0 : 1;
}
