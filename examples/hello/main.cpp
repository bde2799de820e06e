// Opens a model, sets a width, and streams an answer: hello MODEL.gguf [WIDTH] [PROMPT]
#include <elms/elms.hpp>

#include <cstdio>
#include <cstdlib>

namespace {

int report(const elms::Status& status) {
  std::fprintf(stderr, "hello: %s: %s\n", elms::to_string(status.code()), status.message().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: hello MODEL.gguf [WIDTH] [PROMPT]\n");
    return 2;
  }
  const double width = argc > 2 ? std::atof(argv[2]) : 1.0;
  const char* prompt = argc > 3 ? argv[3] : "Once upon a time";

  auto model = elms::ElasticModel::open(argv[1]);
  if (!model.has_value()) return report(model.error());
  auto tokenizer = (*model)->tokenizer();
  if (!tokenizer.has_value()) return report(tokenizer.error());
  auto session = elms::Session::create(*model, {.context_tokens = 512});
  if (!session.has_value()) return report(session.error());

  session->set_width(width);
  elms::GenerateOptions options;
  options.max_tokens = 64;
  options.on_text = [](std::string_view piece) {
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
    return elms::Flow::kContinue;
  };
  auto answer = elms::generate(*session, **tokenizer, (*tokenizer)->encode(prompt), options);
  if (!answer.has_value()) return report(answer.error());
  std::printf("\n[width %.2f, first token after %.1f ms, then %.2f ms each]\n", session->width(), answer->ttft_ms,
              answer->tpot_ms);
  return 0;
}
