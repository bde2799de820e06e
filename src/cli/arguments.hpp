// Options that several subcommands share: their text, their checks, and what they become.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "elms/elastic_model.hpp"
#include "elms/offline/recovery.hpp"
#include "elms/offline/training.hpp"
#include "elms/status.hpp"
#include "elms/thread_pool.hpp"
#include "elms/types.hpp"

namespace elms_cli {

/// The positional MODEL.
CLI::Option* add_model(CLI::App& command, std::string& path);
/// --json
void add_json(CLI::App& command, bool& json);
/// -t, --threads; 0 stays "one for each fast core".
void add_threads(CLI::App& command, std::size_t& threads);
/// A comma-separated list of widths.
void add_widths(CLI::App& command, const std::string& name, std::vector<double>& widths,
                const std::string& description);
/// --kv f16|q8
void add_kv(CLI::App& command, elms::KvType& type);
/// --text, --max-tokens and --window: what is predicted, and how much of it sees each other.
void add_windows_of_text(CLI::App& command, std::string& text, std::int32_t& max_tokens, std::int32_t& window);
[[nodiscard]] const char* name_of(elms::KvType type);
/// --type, by name.
CLI::Option* add_type(CLI::App& command, std::string& type);

/// Accepts a number in (0, 1].
CLI::Validator width_validator();

/// --width or --level, not both.
struct WidthChoice {
  std::optional<double> width;
  std::optional<int> level;
};
void add_width_choice(CLI::App& command, WidthChoice& choice);
/// The level that was chosen; the full model where nothing was. kNotFound where there is no such level.
elms::Result<int> resolve(const WidthChoice& choice, std::span<const elms::Level> levels);

/// What counts the same in a loss: "tokens" or "rows".
void add_balance(CLI::App& command, const std::string& name, std::string& balance);
/// A name that add_balance() let through.
elms::offline::LossBalance loss_balance_named(const std::string& name);

/// The weight of the data's next tokens in recovery.
void add_cross_entropy(CLI::App& command, const std::string& name, double& weight);

/// Recovery as part of another command: --recover-data, --recover-steps and so on.
struct RecoveryArguments {
  elms::offline::RecoveryOptions options;
  std::string balance = "tokens";
};
void add_recovery(CLI::App& command, RecoveryArguments& arguments);
/// What was asked for.
elms::offline::RecoveryOptions recovery_options(const RecoveryArguments& arguments);

/// A type that add_type() let through.
elms::DType type_named(const std::string& name);

/// A whole text file; "-" is standard input. kNotFound, kIoError.
elms::Result<std::string> read_text(const std::string& path);

/// Opens a model with a pool of that many threads; warnings of the library go to stderr.
elms::Result<std::shared_ptr<const elms::ElasticModel>> open_model(const std::string& path,
                                                                   std::size_t threads,
                                                                   bool uniform_levels_if_none = false);

}  // namespace elms_cli
