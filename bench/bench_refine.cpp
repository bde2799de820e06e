// bench_refine FILE [--question TEXT] [--keep R] [--refiner GGUF] [--target GGUF] [--tokens N] [--threads N]
// [--rounds N] [--turns]
//
// Times PromptRefiner::refine() of the first N tokens (of the encoder) of a text, and in turn the encoder's
// own pass over the same tokens: what is left is words, guards, both tokenizers, the search for the budget,
// the text. One line of JSON. With --turns it runs once for every line that it reads and answers with the
// milliseconds of both, so that a script can let another build take turns with it.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/samples.hpp"
#include "elms/detail/encoder.hpp"
#include "elms/detail/gguf.hpp"
#include "elms/prompt_refiner.hpp"

namespace {

using elms::detail::Encoder;
using elms::detail::EncoderModel;

struct RefineBenchOptions {
  std::string file, question, refiner = "examples/models/elms-refiner.gguf",
                              target = "examples/models/elms-mini.gguf";
  double keep = 0.5;
  std::size_t tokens = 510, threads = 2;
  int rounds = 200;
  bool turns = false;
};

int fail(const std::string& message) {
  std::fprintf(stderr, "bench_refine: %s\n", message.c_str());
  return 1;
}

template <typename T>
T or_die(elms::Result<T> result) {
  if (!result.has_value()) std::exit(fail(result.error().message()));
  return std::move(*result);
}

bool parse(int argc, char** argv, RefineBenchOptions& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--turns") {
      options.turns = true;
    } else if (name.substr(0, 2) != "--") {
      options.file = name;
    } else if (++i == argc) {
      return false;
    } else if (name == "--question") {
      options.question = argv[i];
    } else if (name == "--keep") {
      options.keep = std::atof(argv[i]);
    } else if (name == "--refiner") {
      options.refiner = argv[i];
    } else if (name == "--target") {
      options.target = argv[i];
    } else if (name == "--tokens") {
      options.tokens = static_cast<std::size_t>(std::atoi(argv[i]));
    } else if (name == "--threads") {
      options.threads = static_cast<std::size_t>(std::atoi(argv[i]));
    } else if (name == "--rounds") {
      options.rounds = std::atoi(argv[i]);
    } else {
      return false;
    }
  }
  return !options.file.empty() && options.rounds > 0 && options.threads > 0;
}

double ms_of(const auto& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return 1e3 * std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The prompt, and what the encoder reads of it.
struct RefineBenchPrompt {
  std::vector<elms::Segment> segments;
  std::vector<elms::TokenId> tokens;
};

/// The first words of the file that with the question are `n_tokens` for the encoder.
RefineBenchPrompt prompt_of(const RefineBenchOptions& options, const elms::Tokenizer& tokenizer) {
  using namespace elms::detail::refine;
  std::ifstream file(options.file);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto segments_of = [&](std::size_t size) {
    std::vector<elms::Segment> segments = {elms::Segment::compress(text.substr(0, size))};
    if (!options.question.empty())
      segments.push_back(elms::Segment::protect("\n" + options.question, elms::SegmentRole::kQuestion));
    return segments;
  };
  const auto tokens_of = [&](const std::vector<elms::Segment>& segments) {
    const std::string joined = joined_text(segments);
    return encode_words(joined, split_words(segments, joined, {}), tokenizer).tokens;
  };
  RefineBenchPrompt prompt;
  for (const elms::PromptWord& word : elms::prompt_words(segments_of(text.size()))) {
    std::vector<elms::Segment> segments = segments_of(word.span.end);
    std::vector<elms::TokenId> tokens = tokens_of(segments);
    if (tokens.size() > options.tokens) break;
    prompt = {std::move(segments), std::move(tokens)};
  }
  return prompt;
}

int bench_refine(const RefineBenchOptions& options) {
  const auto pool = or_die(elms::ThreadPool::create(options.threads));
  const auto refiner = or_die(elms::PromptRefiner::open(options.refiner, {.pool = pool}));
  const auto encoder =
      or_die(Encoder::create(or_die(EncoderModel::open(options.refiner, {.pool = pool, .precision = {}}))));
  const auto target =
      or_die(elms::Tokenizer::from_gguf(or_die(elms::detail::GgufFile::open(options.target))));
  const RefineBenchPrompt prompt = prompt_of(options, refiner->tokenizer());
  if (prompt.tokens.empty()) return fail(options.file + ": no words");
  std::vector<float> scores(prompt.tokens.size());
  elms::RefinedPrompt refined;
  const auto refine = [&] {
    refined = or_die(refiner->refine(prompt.segments, *target, elms::RefineBudget::keep(options.keep)));
  };
  const auto encode = [&] {
    if (const elms::Status status = encoder->score(prompt.tokens, scores); !status.ok())
      std::exit(fail(status.message()));
  };
  refine();
  encode();
  if (refined.tokens_after > refined.budget_tokens) return fail("the result is over its budget");
  if (options.turns) {
    for (char line[64]; std::fgets(line, sizeof line, stdin) != nullptr; std::fflush(stdout)) {
      const double refine_ms = ms_of(refine);
      std::printf("%.4f %.4f\n", refine_ms, ms_of(encode));
    }
    return 0;
  }
  elms_cli::Samples refine_ms, encoder_ms, outside_ms;
  for (int i = 0; i < options.rounds; ++i) {
    refine_ms.add(ms_of(refine));
    encoder_ms.add(ms_of(encode));
    outside_ms.add(refine_ms.values.back() - encoder_ms.values.back());
  }
  const nlohmann::ordered_json result = {
      {"encoder_tokens", prompt.tokens.size()},
      {"words", refined.words.size()},
      {"tokens_before", refined.tokens_before},
      {"tokens_after", refined.tokens_after},
      {"threads", options.threads},
      {"refine_ms", refine_ms.median()},
      {"encoder_ms", encoder_ms.median()},
      {"outside_ms", outside_ms.median()},
      {"outside_share", outside_ms.median() / refine_ms.median()},
      {"outside_share_of_best", (refine_ms.least() - encoder_ms.least()) / refine_ms.least()}};
  std::printf("%s\n", result.dump().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  RefineBenchOptions options;
  if (!parse(argc, argv, options)) {
    std::fprintf(stderr,
                 "usage: bench_refine FILE [--question TEXT] [--keep R] [--refiner GGUF] [--target GGUF] "
                 "[--tokens N] [--threads N] [--rounds N] [--turns]\n");
    return 2;
  }
  return bench_refine(options);
}
