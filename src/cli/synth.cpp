// elms synth: a model with random weights in the shape of a real one.
#include "elms/offline/synth.hpp"

#include <chrono>
#include <string>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "cli/console.hpp"
#include "elms/detail/model_source.hpp"

namespace elms_cli {
namespace {

namespace offline = elms::offline;

struct SynthArguments {
  std::string shape, output;
  std::string type = "f32";
  std::uint64_t seed = 1;
  std::int32_t lora_rank = 0;
  std::size_t threads = 0;
  bool json = false;
};

std::string known_shapes() {
  std::string names;
  for (const std::string_view name : offline::shape_names())
    names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

elms::Result<offline::SynthShape> read_shape(const std::string& text) {
  if (const auto known = offline::find_shape(text); known.has_value()) return *known;
  if (text.find('{') != std::string::npos) return offline::parse_shape(text);
  return elms::Status(elms::StatusCode::kNotFound,
                      "no shape \"" + text + "\": expected " + known_shapes() + ", or JSON");
}

elms::Status synth(const SynthArguments& arguments) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  ELMS_ASSIGN_OR_RETURN(offline::SynthShape shape, read_shape(arguments.shape));
  shape.lora_rank = arguments.lora_rank;
  {
    ELMS_ASSIGN_OR_RETURN(const auto pool, elms::ThreadPool::create(arguments.threads));
    const InterruptGuard interrupt;
    ProgressBar bar;
    ELMS_RETURN_IF_ERROR(offline::synthesize(shape, type_named(arguments.type), arguments.seed,
                                             arguments.output, bar.callback(interrupt), pool));
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  ELMS_ASSIGN_OR_RETURN(const auto written, elms::detail::ModelSource::open(arguments.output));
  std::uint64_t parameters = 0;
  for (const elms::detail::SourceTensor& tensor : written->tensors()) parameters += tensor.rows * tensor.cols;
  if (arguments.json) {
    print_json({{"output", arguments.output},
                {"architecture", shape.architecture},
                {"type", arguments.type},
                {"seed", arguments.seed},
                {"lora_rank", arguments.lora_rank},
                {"parameters", parameters},
                {"bytes", written->file_bytes()},
                {"seconds", seconds}});
    return {};
  }
  std::printf("%s: %s with %s random parameters in %s, %s\n", arguments.output.c_str(),
              shape.architecture.c_str(), readable_count(parameters).c_str(), arguments.type.c_str(),
              readable_bytes(written->file_bytes()).c_str());
  return {};
}

}  // namespace

void add_synth(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<SynthArguments>();
  CLI::App& command =
      *app.add_subcommand("synth", "Write a model with random weights, for benchmarks and tests");
  command
      .add_option("--shape", arguments->shape,
                  "One of " + known_shapes() + ", or a JSON object (see the example)")
      ->required()
      ->check(CLI::Validator(
          [](std::string& text) {
            const auto shape = read_shape(text);
            return shape.has_value() ? std::string() : shape.error().message();
          },
          "", "shape"))
      ->option_text("NAME|JSON");
  add_type(command, arguments->type)->option_text("TYPE [f32]");
  command.add_option("--seed", arguments->seed, "The same seed gives the same file")->option_text("N [1]");
  command
      .add_option("--lora-rank", arguments->lora_rank,
                  "Give every level a random adapter of this rank, in files beside the model")
      ->check(CLI::Range(0, 1024))
      ->option_text("R [0]");
  command.add_option("-o,--output", arguments->output, "GGUF file to write")->required()->option_text("FILE");
  add_threads(command, arguments->threads);
  add_json(command, arguments->json);
  command.footer(
      "Examples:\n"
      "  elms synth --shape tinyllama-1.1b --type q4_0 -o tinyllama-random.gguf\n"
      "  elms synth --shape "
      "'{\"architecture\":\"qwen3\",\"d_model\":256,\"n_layers\":4,\"n_heads\":8,\"n_kv_heads\":2,"
      "\"d_ff\":768,\"n_vocab\":1024}' -o small.gguf\n"
      "Further fields of the JSON: head_dim, context_length, rope_theta, tied_head, qkv_bias.");
  bind(command, arguments, synth, action);
}

}  // namespace elms_cli
