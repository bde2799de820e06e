#include "cli/arguments.hpp"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "elms/detail/dtype.hpp"
#include "elms/detail/error.hpp"

namespace elms_cli {

using elms::Result;
using elms::StatusCode;
using elms::detail::concat;
using elms::detail::error;

CLI::Option* add_model(CLI::App& command, std::string& path) {
  return command.add_option("MODEL", path, "GGUF file or Hugging Face directory")
      ->required()
      ->option_text("PATH");
}

void add_json(CLI::App& command, bool& json) {
  command.add_flag("--json", json, "Print the result as JSON");
}

void add_threads(CLI::App& command, std::size_t& threads) {
  command.add_option("-t,--threads", threads, "Threads to compute on (default: one for each fast core)")
      ->check(CLI::Range(1, 256))
      ->option_text("N");
}

CLI::Validator width_validator() {
  return CLI::Validator(
      [](std::string& text) {
        char* end = nullptr;
        const double width = std::strtod(text.c_str(), &end);
        const bool legal = end != text.c_str() && *end == '\0' && width > 0.0 && width <= 1.0;
        return legal ? std::string()
                     : concat("\"", text, "\" is no width: expected a number above 0, at most 1");
      },
      "", "width");
}

void add_widths(CLI::App& command, const std::string& name, std::vector<double>& widths,
                const std::string& description) {
  command.add_option(name, widths, description)
      ->delimiter(',')
      ->check(width_validator())
      ->allow_extra_args(false)
      ->option_text("W,W,...");
}

void add_windows_of_text(CLI::App& command, std::string& text, std::int32_t& max_tokens,
                         std::int32_t& window) {
  command.add_option("--text", text, "Text to predict; - is standard input")->required()->option_text("FILE");
  command.add_option("--max-tokens", max_tokens, "Use only the first N tokens of the text")
      ->check(CLI::Range(2, 1 << 30))
      ->option_text("N");
  command.add_option("--window", window, "Tokens that see each other")
      ->check(CLI::Range(2, 1 << 20))
      ->option_text("N [" + std::to_string(window) + "]");
}

void add_kv(CLI::App& command, elms::KvType& type) {
  static const std::map<std::string, elms::KvType> kTypes = {{"f16", elms::KvType::kF16},
                                                             {"q8", elms::KvType::kQ8}};
  command.add_option("--kv", type, "How keys and values are kept: f16, or q8 in about half the memory")
      ->transform(CLI::CheckedTransformer(kTypes, CLI::ignore_case).description(""))
      ->option_text("f16|q8 [f16]");
}

const char* name_of(elms::KvType type) {
  return type == elms::KvType::kF16 ? "f16" : "q8";
}

CLI::Option* add_type(CLI::App& command, std::string& type) {
  return command.add_option("--type", type, "Type of the weight matrices: f32, f16, bf16, q8_0 or q4_0")
      ->check(CLI::IsMember({"f32", "f16", "bf16", "q8_0", "q4_0"}, CLI::ignore_case))
      ->option_text("TYPE");
}

void add_width_choice(CLI::App& command, WidthChoice& choice) {
  CLI::Option* width =
      command
          .add_option("-w,--width", choice.width,
                      "Share of the full model's cost to spend, (0, 1]; the widest level within it is used")
          ->check(width_validator())
          ->option_text("W");
  command.add_option("--level", choice.level, "Level by index, 0 is the narrowest")
      ->check(CLI::NonNegativeNumber)
      ->option_text("L")
      ->excludes(width);
}

Result<int> resolve(const WidthChoice& choice, std::span<const elms::Level> levels) {
  const int last = static_cast<int>(levels.size()) - 1;
  if (choice.level.has_value() && *choice.level > last) {
    return error(StatusCode::kNotFound, "level ", *choice.level, ": the model has levels 0 to ", last);
  }
  if (choice.level.has_value()) return *choice.level;
  return choice.width.has_value() ? elms::level_for_width(levels, *choice.width) : last;
}

void add_balance(CLI::App& command, const std::string& name, std::string& balance) {
  command
      .add_option(name, balance,
                  "What counts the same in the loss: tokens, or rows, so that few completions weigh as much "
                  "as a text")
      ->check(CLI::IsMember({"tokens", "rows"}))
      ->option_text("tokens|rows [tokens]");
}

elms::offline::LossBalance loss_balance_named(const std::string& name) {
  return name == "rows" ? elms::offline::LossBalance::kRows : elms::offline::LossBalance::kTokens;
}

void add_cross_entropy(CLI::App& command, const std::string& name, double& weight) {
  command.add_option(name, weight, "Weight of the data's next tokens beside the full model's")
      ->check(CLI::NonNegativeNumber)
      ->option_text("X [0]");
}

void add_recovery(CLI::App& command, RecoveryArguments& arguments) {
  elms::offline::RecoveryOptions& options = arguments.options;
  command.add_option("--recover-data", options.data, "What recovery learns from: files and their weights")
      ->option_text("FILE:WEIGHT,...");
  command.add_option("--recover-steps", options.n_steps, "Batches that it learns from")->option_text("N");
  command
      .add_option("--recover-lr", options.learning_rate,
                  "Peak of its learning rate (default: 2e-3 for lora, 3e-4 for nested)")
      ->check(CLI::PositiveNumber)
      ->option_text("RATE");
  command.add_option("--recover-rank", options.rank, "Rank of low-rank updates")
      ->check(CLI::Range(1, 1024))
      ->option_text("R [8]");
  command.add_option("--recover-rows", options.batch_rows, "Rows of a batch")
      ->check(CLI::Range(1, 1 << 16))
      ->option_text("N [8]");
  command.add_option("--recover-length", options.length, "Tokens of a row")
      ->check(CLI::Range(2, 1 << 20))
      ->option_text("N [256]");
  add_cross_entropy(command, "--recover-ce", options.cross_entropy_weight);
  add_balance(command, "--recover-balance", arguments.balance);
}

elms::offline::RecoveryOptions recovery_options(const RecoveryArguments& arguments) {
  elms::offline::RecoveryOptions options = arguments.options;
  options.balance = loss_balance_named(arguments.balance);
  return options;
}

elms::DType type_named(const std::string& name) {
  return elms::detail::parse_dtype(name).value_or(elms::DType::kF32);
}

Result<std::string> read_text(const std::string& path) {
  std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    const StatusCode code = errno == ENOENT ? StatusCode::kNotFound : StatusCode::kIoError;
    return error(code, path, ": ", std::strerror(errno));
  }
  std::string text;
  char chunk[1 << 16];
  for (std::size_t n; (n = std::fread(chunk, 1, sizeof chunk, file)) > 0;) text.append(chunk, n);
  const bool failed = std::ferror(file) != 0;
  const int why = errno;
  if (file != stdin) std::fclose(file);
  if (failed) return error(StatusCode::kIoError, path, ": ", std::strerror(why));
  return text;
}

Result<std::shared_ptr<const elms::ElasticModel>> open_model(const std::string& path, std::size_t threads,
                                                             bool uniform_levels_if_none) {
  elms::OpenOptions options;
  ELMS_ASSIGN_OR_RETURN(options.pool, elms::ThreadPool::create(threads));
  options.uniform_levels_if_none = uniform_levels_if_none;
  options.log = [](elms::LogLevel level, std::string_view text) {
    if (level != elms::LogLevel::kWarning) return;
    std::fprintf(stderr, "elms: warning: %.*s\n", static_cast<int>(text.size()), text.data());
  };
  return elms::ElasticModel::open(path, options);
}

}  // namespace elms_cli
