// bench_levels MODEL [--threads N] [--tokens N] [--context N] [--level L]
//
// What a level and its adapter cost a decoded token. Sessions take turns token by token, so that a
// machine whose bandwidth swings does the same to each: the full width, the level without its adapter, the
// level with it, all on the same weights in memory. The last level of cache is swept before each token, or a
// token would find there what the one before it has left; so it is for models that no cache holds. `control`
// is what a second copy of the weights adds, which is nothing but where the system has put it. One line of
// JSON a level: `excess` is the level's time over the full width's minus its cost share, `adapter` what the
// adapter adds to the level's time; medians over neighbouring turns, and between which quartiles they lie.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "elms/detail/latency_fit.hpp"
#include "elms/elastic_model.hpp"
#include "elms/session.hpp"

namespace {

struct LevelBenchOptions {
  std::string model;
  std::size_t threads = 2;
  int tokens = 200, context = 16;
  int level = -1;  ///< only this one; negative: all
};

int fail(const std::string& message) {
  std::fprintf(stderr, "bench_levels: %s\n", message.c_str());
  return 1;
}

template <typename T>
T or_die(elms::Result<T> result) {
  if (!result.has_value()) std::exit(fail(result.error().message()));
  return std::move(*result);
}

bool parse(int argc, char** argv, LevelBenchOptions& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name.substr(0, 2) != "--") {
      options.model = name;
    } else if (++i == argc) {
      return false;
    } else if (name == "--threads") {
      options.threads = static_cast<std::size_t>(std::atoi(argv[i]));
    } else if (name == "--tokens") {
      options.tokens = std::atoi(argv[i]);
    } else if (name == "--context") {
      options.context = std::atoi(argv[i]);
    } else if (name == "--level") {
      options.level = std::atoi(argv[i]);
    } else {
      return false;
    }
  }
  return !options.model.empty() && options.threads > 0 && options.tokens > 0 && options.context > 0;
}

/// Reads 64 MiB, more than the caches hold of the machines that we measure on.
void sweep_cache() {
  static const std::vector<std::uint64_t> words(std::size_t{64} << 17, 1);  // 64 MiB
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < words.size(); i += 8) sum += words[i];
  volatile std::uint64_t sink = sum;  // without a use, compilers would drop the reading
  (void)sink;
}

enum class Adapter : std::uint8_t { kOff, kOn };

/// A session of a level behind a context, which decodes token after token.
class Decoding {
 public:
  Decoding(const std::shared_ptr<const elms::ElasticModel>& model, int level, Adapter adapter,
           const LevelBenchOptions& options, elms::ThreadPool& pool)
      : pool_(&pool), session_(or_die(elms::Session::create(model, sized(options)))) {
    std::vector<elms::TokenId> prompt;
    for (int i = 0; i < options.context; ++i) prompt.push_back(1 + i % (model->config().n_vocab - 1));
    // Slices that are set by hand are no level's, so they have no adapter.
    const elms::Status set =
        adapter == Adapter::kOn
            ? session_.set_level(level)
            : session_.set_slices(model->levels()[static_cast<std::size_t>(level)].layers);
    if (!set.ok() || !session_.prefill(prompt).ok()) std::exit(fail("no context"));
    for (int i = 0; i < kWarmUp; ++i) static_cast<void>(token_ms());
  }

  double token_ms() {
    sweep_cache();
    pool_->parallel_for(pool_->n_threads(), [](std::size_t) {});  // they slept meanwhile
    const auto start = std::chrono::steady_clock::now();
    static_cast<void>(or_die(session_.decode()));
    return 1e3 * std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  static constexpr int kWarmUp = 3;
  static elms::SessionOptions sized(const LevelBenchOptions& options) {
    elms::SessionOptions session;
    session.context_tokens = options.context + options.tokens + kWarmUp + 1;
    return session;
  }

  elms::ThreadPool* pool_;
  elms::Session session_;
};

nlohmann::json middle_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {{"median", elms::detail::quantile(values, 0.5)},
          {"quartiles", {elms::detail::quantile(values, 0.25), elms::detail::quantile(values, 0.75)}}};
}

}  // namespace

int main(int argc, char** argv) {
  LevelBenchOptions options;
  if (!parse(argc, argv, options))
    return fail("usage: bench_levels MODEL [--threads N] [--tokens N] [--context N] [--level L]");
  elms::OpenOptions open;
  open.pool = or_die(elms::ThreadPool::create(options.threads));
  open.uniform_levels_if_none = true;
  const auto model = or_die(elms::ElasticModel::open(options.model, open));
  open.use_adapters = false;
  const auto copy = or_die(elms::ElasticModel::open(options.model, open));
  const int top = static_cast<int>(model->levels().size()) - 1;
  if (options.level > top) return fail("the model's last level is " + std::to_string(top));
  for (int level = 0; level <= top; ++level) {
    if (options.level >= 0 && options.level != level) continue;
    const double share = model->levels()[static_cast<std::size_t>(level)].cost_share;
    const auto decoding = [&](const auto& weights, int at, Adapter adapter = Adapter::kOff) {
      return Decoding(weights, at, adapter, options, *open.pool);
    };
    Decoding full = decoding(model, top), narrow = decoding(model, level), other = decoding(copy, level),
             adapted = decoding(model, level, Adapter::kOn);
    std::vector<double> excess, control, added, narrow_ms;
    for (int i = 0; i < options.tokens; ++i) {
      const double full_ms = full.token_ms();
      narrow_ms.push_back(narrow.token_ms());
      excess.push_back(narrow_ms.back() / full_ms - share);
      control.push_back(other.token_ms() / narrow_ms.back() - 1.0);
      if (model->adapter(level) != nullptr) added.push_back(adapted.token_ms() / narrow_ms.back() - 1.0);
    }
    nlohmann::json line = {{"level", level},
                           {"cost_share", share},
                           {"threads", options.threads},
                           {"token_ms", middle_of(narrow_ms)},
                           {"excess", middle_of(excess)},
                           {"control", middle_of(control)}};
    if (!added.empty()) line["adapter"] = middle_of(added);
    std::printf("%s\n", line.dump().c_str());
    std::fflush(stdout);
  }
  return 0;
}
