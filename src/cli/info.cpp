// elms info: what a checkpoint is, without loading its weights.
#include <filesystem>
#include <map>
#include <string>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "cli/importance_report.hpp"
#include "cli/level_report.hpp"
#include "elms/detail/level_table.hpp"

namespace elms_cli {
namespace {

using elms::detail::ModelSource;
using elms::detail::SourceTensor;

struct InfoOptions {
  std::string model, plot;
  bool tensors = false;
  bool importance = false;
  bool json = false;
};

struct TypeUse {
  std::uint64_t tensors = 0, values = 0, bytes = 0;
};

struct Summary {
  std::uint64_t parameters = 0;
  std::map<std::string, TypeUse> types;
};

std::string type_name(const SourceTensor& tensor) {
  return std::string(elms::detail::dtype_info(tensor.type).name);
}

Summary summarise(const ModelSource& source) {
  Summary summary;
  for (const SourceTensor& tensor : source.tensors()) {
    TypeUse& use = summary.types[type_name(tensor)];
    ++use.tensors;
    use.values += tensor.rows * tensor.cols;
    use.bytes += tensor.data.size();
    summary.parameters += tensor.rows * tensor.cols;
  }
  return summary;
}

Json shape_json(const elms::ModelConfig& config) {
  Json rope = {{"style", config.rope.style == elms::RopeStyle::kInterleaved ? "interleaved" : "halves"},
               {"n_rot", config.rope.n_rot},
               {"theta", config.rope.theta},
               {"linear_factor", config.rope.linear_factor},
               {"divisors", config.rope.divisors.size()}};
  const elms::LayerShape& first = config.layers.front();
  return {{"d_model", config.d_model},
          {"n_layers", config.n_layers},
          {"n_heads", first.q_heads},
          {"n_kv_heads", first.kv_heads},
          {"head_dim", config.head_dim},
          {"d_ff", first.ff},
          {"n_vocab", config.n_vocab},
          {"context_length", config.context_length},
          {"rms_epsilon", config.rms_epsilon},
          {"tied_head", config.tied_head},
          {"qkv_bias", config.qkv_bias},
          {"qk_norm", config.qk_norm},
          {"rope", std::move(rope)}};
}

/// Null, or why there is no tokenizer under "error".
Json tokenizer_json(const ModelSource& source) {
  const auto opened = source.open_tokenizer();
  if (!opened.has_value()) return {{"error", opened.error().message()}};
  const elms::Tokenizer& tokenizer = **opened;
  const auto id = [](elms::TokenId token) { return token == elms::kNoToken ? Json(nullptr) : Json(token); };
  return {{"model", tokenizer.model()},
          {"n_vocab", tokenizer.n_vocab()},
          {"bos", id(tokenizer.bos())},
          {"eos", id(tokenizer.eos())},
          {"unk", id(tokenizer.unk())}};
}

Json elastic_json(const elms::detail::LevelTable& table) {
  if (!table.elastic.has_value()) return nullptr;
  return {{"importance", table.elastic->importance_method},
          {"ordered_heads", table.elastic->head_order.size()},
          {"ordered_ffn_units", table.elastic->ffn_order.size()}};
}

Json types_json(const Summary& summary) {
  Json types = Json::object();
  for (const auto& [name, use] : summary.types) {
    types[name] = {{"tensors", use.tensors}, {"values", use.values}, {"bytes", use.bytes}};
  }
  return types;
}

Json tensors_json(const ModelSource& source) {
  Json list = Json::array();
  for (const SourceTensor& tensor : source.tensors()) {
    list.push_back({{"name", tensor.name},
                    {"type", type_name(tensor)},
                    {"rows", tensor.rows},
                    {"cols", tensor.cols},
                    {"bytes", tensor.data.size()}});
  }
  return list;
}

void print_field(const char* name, const std::string& value) {
  std::printf("%-13s %s\n", name, value.c_str());
}

void print_text(const ModelSource& source, const elms::detail::LevelTable& table, const Summary& summary) {
  const elms::ModelConfig& config = source.config();
  const elms::LayerShape& first = config.layers.front();
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  print_field("file", source.path() + " (" + readable_bytes(source.file_bytes()) + ")");
  print_field("architecture", config.architecture + (config.name.empty() ? "" : ", \"" + config.name + "\""));
  print_field("parameters", readable_count(summary.parameters));
  print_field("shape", number(config.n_layers) + " layers, d_model " + number(config.d_model) + ", " +
                           number(first.q_heads) + " query and " + number(first.kv_heads) + " KV heads of " +
                           number(config.head_dim) + ", d_ff " + number(first.ff));
  print_field("vocabulary",
              number(config.n_vocab) + (config.tied_head ? ", head tied to the embedding" : ""));
  print_field("context", number(config.context_length) + " tokens");
  for (const auto& [name, use] : summary.types) {
    print_field(name == summary.types.begin()->first ? "types" : "",
                name + ": " + number(static_cast<std::int64_t>(use.tensors)) + " tensors, " +
                    readable_bytes(use.bytes));
  }
  const Json tokenizer = tokenizer_json(source);
  print_field("tokenizer", tokenizer.contains("error")
                               ? "none (" + tokenizer["error"].get<std::string>() + ")"
                               : tokenizer["model"].get<std::string>() + ", BOS " + tokenizer["bos"].dump() +
                                     ", EOS " + tokenizer["eos"].dump());
  print_field("elastic", !table.elastic.has_value()
                             ? "no: one level only (see `elms elasticize`)"
                             : "yes, units ordered by: " + table.elastic->importance_method);
  std::printf("\n");
  print_levels(table.levels);
}

void print_tensors(const ModelSource& source) {
  Table table({"tensor", "type", "rows", "cols", "bytes"});
  for (const SourceTensor& tensor : source.tensors()) {
    table.add({std::string(tensor.name), type_name(tensor), std::to_string(tensor.rows),
               std::to_string(tensor.cols), readable_bytes(tensor.data.size())});
  }
  std::printf("\n");
  table.print();
}

elms::Status info(const InfoOptions& options) {
  ELMS_ASSIGN_OR_RETURN(const std::unique_ptr<const ModelSource> source, ModelSource::open(options.model));
  ELMS_ASSIGN_OR_RETURN(const elms::detail::LevelTable table, elms::detail::load_levels(*source, false));
  const bool importance = options.importance || !options.plot.empty();
  const elms::detail::ElasticMetadata elastic = table.elastic.value_or(elms::detail::ElasticMetadata());
  if (importance) ELMS_RETURN_IF_ERROR(check_importance(source->config(), elastic));
  if (!options.plot.empty()) {
    const std::string name = std::filesystem::path(options.model).filename().string();
    ELMS_RETURN_IF_ERROR(write_svg(importance_plot(source->config(), elastic, name), options.plot));
  }
  const Summary summary = summarise(*source);
  if (!options.json) {
    print_text(*source, table, summary);
    if (options.importance) print_importance(source->config(), elastic);
    if (options.tensors) print_tensors(*source);
    return {};
  }
  const elms::ModelConfig& config = source->config();
  Json json = {{"model", source->path()},
               {"file_bytes", source->file_bytes()},
               {"architecture", config.architecture},
               {"name", config.name},
               {"parameters", summary.parameters},
               {"shape", shape_json(config)},
               {"types", types_json(summary)},
               {"tokenizer", tokenizer_json(*source)},
               {"elastic", elastic_json(table)},
               {"levels", levels_json(table.levels)}};
  if (options.tensors) json["tensors"] = tensors_json(*source);
  if (options.importance) json["importance"] = importance_json(config, elastic);
  print_json(json);
  return {};
}

}  // namespace

void add_info(CLI::App& app, Action& action) {
  auto options = std::make_shared<InfoOptions>();
  CLI::App& command =
      *app.add_subcommand("info", "Show what a model file holds: shape, types, levels, tokenizer");
  add_model(command, options->model);
  command.add_flag("--tensors", options->tensors, "List every tensor too");
  command.add_flag("--importance", options->importance, "Show how much the units of an elastic model matter");
  command.add_option("--plot", options->plot, "Draw that by layer")->option_text("FILE.svg");
  add_json(command, options->json);
  command.footer("Example:\n  elms info assistant.elastic.gguf");
  bind(command, options, info, action);
}

}  // namespace elms_cli
