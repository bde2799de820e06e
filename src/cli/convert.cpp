// elms convert: an encoder from Hugging Face's form to GGUF.
#include "elms/offline/convert.hpp"

#include <string>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "elms/detail/dtype.hpp"
#include "elms/detail/encoder.hpp"
#include "elms/detail/error.hpp"

namespace elms_cli {
namespace {

using elms::detail::EncoderConfig;
using elms::detail::EncoderModel;

struct ConvertArguments {
  std::string input, output;
  std::string type = "f32";
  bool json = false;
};

elms::Status convert(const ConvertArguments& arguments) {
  const auto type = elms::detail::parse_dtype(arguments.type);
  ELMS_RETURN_IF_ERROR(
      elms::offline::convert_encoder(arguments.input, arguments.output, type.value_or(elms::DType::kF32)));
  ELMS_ASSIGN_OR_RETURN(const auto written, EncoderModel::open(arguments.output));
  const EncoderConfig& config = written->config();
  const char* family = config.family == elms::detail::EncoderFamily::kBert ? "bert" : "mobilebert";
  if (arguments.json) {
    print_json({{"input", arguments.input},
                {"output", arguments.output},
                {"architecture", family},
                {"type", arguments.type},
                {"layers", config.n_layers},
                {"d_model", config.d_model},
                {"vocabulary", config.n_vocab},
                {"positions", config.max_positions},
                {"score_head", written->has_score_head()}});
    return {};
  }
  std::printf("%s: %s with %d layers of %d, %d tokens, %d positions%s, in %s\n", arguments.output.c_str(),
              family, config.n_layers, config.d_model, config.n_vocab, config.max_positions,
              written->has_score_head() ? ", a score head" : "", arguments.type.c_str());
  return {};
}

}  // namespace

void add_convert(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<ConvertArguments>();
  CLI::App& command = *app.add_subcommand("convert", "Convert a BERT or MobileBERT encoder to GGUF");
  command
      .add_option("directory", arguments->input,
                  "Hugging Face directory: config.json, model.safetensors, tokenizer.json or vocab.txt")
      ->required()
      ->option_text("DIR");
  command.add_option("-o,--output", arguments->output, "GGUF file to write")->required()->option_text("FILE");
  command.add_option("--type", arguments->type, "Type of matrices: f32, f16 or q8_0")
      ->check(CLI::IsMember({"f32", "f16", "q8_0"}, CLI::ignore_case))
      ->option_text("TYPE [f32]");
  add_json(command, arguments->json);
  command.footer("Example:\n  elms convert MiniLM-L6 -o minilm.gguf --type q8_0");
  bind(command, arguments, convert, action);
}

}  // namespace elms_cli
