// elms vocab: a vocabulary trained on texts.
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "elms/offline/vocabulary.hpp"

namespace elms_cli {
namespace {

namespace offline = elms::offline;

struct VocabArguments {
  std::vector<std::string> text_files, jsonl_files;
  std::int32_t size = 4096;
  double character_coverage = 0.9995;
  std::string output, model_output;
  bool wordpiece = false, json = false;
};

elms::Status write_file(const std::string& path, const std::string& bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  bool written = file != nullptr && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  if (file != nullptr) written &= std::fclose(file) == 0;
  return written ? elms::Status() : elms::Status(elms::StatusCode::kIoError, path + ": cannot be written");
}

elms::Status vocab(const VocabArguments& arguments) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  offline::VocabularyOptions options;
  options.text_files = arguments.text_files;
  options.jsonl_files = arguments.jsonl_files;
  options.n_tokens = arguments.size;
  options.wordpiece = arguments.wordpiece;
  options.character_coverage = arguments.character_coverage;
  offline::TrainedVocabulary trained;
  {
    const InterruptGuard interrupt;
    ProgressBar bar;
    options.progress = bar.callback(interrupt);
    ELMS_ASSIGN_OR_RETURN(trained, offline::train_vocabulary(options, arguments.output));
  }
  if (!arguments.model_output.empty()) {
    ELMS_RETURN_IF_ERROR(write_file(arguments.model_output, trained.sentencepiece_model));
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (arguments.json) {
    print_json({{"output", arguments.output},
                {"tokens", trained.n_tokens},
                {"text_bytes", trained.text_bytes},
                {"seconds", seconds}});
    return {};
  }
  std::printf("%s: %d tokens from %s of text in %s s\n", arguments.output.c_str(), trained.n_tokens,
              readable_bytes(trained.text_bytes).c_str(), fixed(seconds, 1).c_str());
  return {};
}

}  // namespace

void add_vocab(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<VocabArguments>();
  CLI::App& command = *app.add_subcommand("vocab", "Train a vocabulary on texts, for a model to be trained");
  command.add_option("--text", arguments->text_files, "Plain text files")->option_text("FILE...");
  command
      .add_option("--jsonl", arguments->jsonl_files,
                  "Files with a line of JSON for each example: {\"prompt\", \"completion\"} or {\"text\"}")
      ->option_text("FILE...");
  command.add_option("--size", arguments->size, "Tokens, the 256 bytes and 3 special ones included")
      ->check(CLI::Range(260, 1 << 20))
      ->option_text("N [4096]");
  command
      .add_option("--coverage", arguments->character_coverage,
                  "Share of the characters that get a token; rarer ones are written in bytes")
      ->check(CLI::Range(0.5, 1.0))
      ->option_text("X [0.9995]");
  command.add_flag("--wordpiece", arguments->wordpiece, "Make an uncased WordPiece vocabulary, for an encoder");
  command.add_option("-o,--output", arguments->output, "GGUF file to write")->required()->option_text("FILE");
  command.add_option("--model", arguments->model_output, "Write it in SentencePiece's own format too")
      ->option_text("FILE");
  add_json(command, arguments->json);
  command.footer(
      "Examples:\n"
      "  elms vocab --text book.txt --size 4096 -o vocab.gguf\n"
      "  elms vocab --text wiki/*.txt --jsonl tasks.jsonl --size 8192 -o vocab.gguf\n"
      "The vocabulary is a BPE of SentencePiece as Llama 2's is; llama.cpp reads it too.");
  bind(command, arguments, vocab, action);
}

}  // namespace elms_cli
