// bench_encoder [--shape LxD | --model FILE] [--precision f32|int8] [--tokens N] [--threads N] [--rounds N]
// [--turns]
//
// Times one window of an encoder: a file, or random weights of L layers of D (heads of 32 or 64, FFN of 4 D),
// as a share of the peak of its arithmetic, measured between the runs. One line of JSON. With --turns it runs
// once for every line that it reads and answers with the milliseconds, so that a script can let a peer take
// turns with it (peers/onnx.mjs).
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/machine.hpp"
#include "elms/detail/encoder.hpp"
#include "elms/offline/convert.hpp"

namespace {

using elms::detail::Encoder;
using elms::detail::EncoderConfig;
using elms::detail::EncoderModel;
using elms::detail::EncoderPrecision;

struct EncoderOptions {
  std::string shape = "6x384", model, precision = "int8";
  int tokens = 512, threads = 2, rounds = 10;
  bool turns = false;
};

int fail(const std::string& message) {
  std::fprintf(stderr, "bench_encoder: %s\n", message.c_str());
  return 1;
}

bool parse(int argc, char** argv, EncoderOptions& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--turns") {
      options.turns = true;
      continue;
    }
    if (++i == argc) return false;
    if (name == "--shape") {
      options.shape = argv[i];
    } else if (name == "--model") {
      options.model = argv[i];
    } else if (name == "--precision") {
      options.precision = argv[i];
    } else if (name == "--tokens") {
      options.tokens = std::atoi(argv[i]);
    } else if (name == "--threads") {
      options.threads = std::atoi(argv[i]);
    } else if (name == "--rounds") {
      options.rounds = std::atoi(argv[i]);
    } else {
      return false;
    }
  }
  return options.tokens > 2 && options.threads > 0 && options.rounds > 0 &&
         (options.precision == "f32" || options.precision == "int8");
}

/// A BERT of "LxD"; no layers where the text says something else.
EncoderConfig config_of(const EncoderOptions& options) {
  EncoderConfig config;
  if (std::sscanf(options.shape.c_str(), "%dx%d", &config.n_layers, &config.d_model) != 2) return {};
  config.n_vocab = 1000;
  config.d_inner = config.d_embedding = config.d_model;
  config.d_ff = 4 * config.d_model;
  config.n_heads = config.d_model / (config.d_model < 768 ? 32 : 64);
  config.max_positions = std::max(512, options.tokens);
  config.n_token_types = 2;
  config.n_shared_layers = config.n_layers;
  return config;
}

double run_once(Encoder& encoder, const std::vector<elms::TokenId>& tokens, std::vector<float>& states) {
  const auto start = std::chrono::steady_clock::now();
  const elms::Status status = encoder.hidden(tokens, states);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!status.ok()) std::exit(fail(status.message()));
  return 1e3 * seconds;
}

void take_turns(Encoder& encoder, const std::vector<elms::TokenId>& tokens, std::vector<float>& states) {
  char line[64];
  while (std::fgets(line, sizeof line, stdin) != nullptr) {
    std::printf("%.4f\n", run_once(encoder, tokens, states));
    std::fflush(stdout);
  }
}

int measure_encoder(const EncoderOptions& options, Encoder& encoder, const std::vector<elms::TokenId>& tokens,
                    std::vector<float>& states) {
  const EncoderModel& model = encoder.model();
  auto limits = elms_cli::LimitsMeter::create(*model.pool());
  if (!limits.has_value()) return fail(limits.error().message());
  elms_cli::Samples ms;
  for (int i = 0; i < options.rounds; ++i) {
    limits->sample_if_due();
    ms.add(run_once(encoder, tokens, states));
  }
  const double gop = 2e-9 * static_cast<double>(model.macs(options.tokens));
  const bool int8 = model.precision() == EncoderPrecision::kInt8;
  const auto& peak = int8 ? limits->best().int8.all : limits->best().f32.all;
  const nlohmann::ordered_json result = {{"shape", options.model.empty() ? options.shape : options.model},
                                         {"precision", int8 ? "int8" : "f32"},
                                         {"tokens", options.tokens},
                                         {"threads", options.threads},
                                         {"best_ms", ms.least()},
                                         {"median_ms", ms.median()},
                                         {"spread", ms.spread()},
                                         {"gop", gop},
                                         {"best_gops", gop / ms.least() * 1e3},
                                         {"peak_gops", peak.greatest()},
                                         {"share_of_peak", gop / ms.least() * 1e3 / peak.greatest()},
                                         {"scratch_bytes", encoder.scratch_bytes()},
                                         {"weight_bytes", model.weight_bytes()}};
  std::printf("%s\n", result.dump().c_str());
  return 0;
}

int bench_encoder(const EncoderOptions& options) {
  const EncoderConfig config = config_of(options);
  const EncoderPrecision precision =
      options.precision == "int8" ? EncoderPrecision::kInt8 : EncoderPrecision::kF32;
  std::string path = options.model;
  if (path.empty()) {
    if (config.n_layers < 1) return fail("--shape: expected LAYERSxSIZE, e.g. 6x384");
    path = (std::filesystem::temp_directory_path() / ("bench_encoder_" + options.shape + ".gguf")).string();
    const elms::Status made = elms::offline::synthesize_encoder(config, {}, elms::DType::kF32, 1, path);
    if (!made.ok()) return fail(made.message());
  }
  auto pool = elms::ThreadPool::create(static_cast<std::size_t>(options.threads));
  if (!pool.has_value()) return fail(pool.error().message());
  auto model = EncoderModel::open(path, {.pool = *pool, .precision = precision});
  if (!model.has_value()) return fail(model.error().message());
  auto encoder = Encoder::create(*model);
  if (!encoder.has_value()) return fail(encoder.error().message());
  if (options.tokens > (*model)->config().max_positions)
    return fail("--tokens: more than the model has positions");
  std::vector<elms::TokenId> tokens(static_cast<std::size_t>(options.tokens) - 2);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] =
        static_cast<elms::TokenId>(5 + i * 7 % static_cast<std::size_t>((*model)->config().n_vocab - 5));
  }
  std::vector<float> states(static_cast<std::size_t>(options.tokens) *
                            static_cast<std::size_t>((*model)->config().d_model));
  run_once(**encoder, tokens, states);
  if (!options.turns) return measure_encoder(options, **encoder, tokens, states);
  take_turns(**encoder, tokens, states);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  EncoderOptions options;
  if (!parse(argc, argv, options)) {
    std::fprintf(stderr,
                 "usage: bench_encoder [--shape LxD | --model FILE] [--precision f32|int8] [--tokens N] "
                 "[--threads N] [--rounds N] [--turns]\n");
    return 2;
  }
  return bench_encoder(options);
}
