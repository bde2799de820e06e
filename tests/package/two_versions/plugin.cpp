// Answers by the C++ API and by the C API of the elms that it was built with.
#include <elms/elms.h>

#include <cstring>
#include <elms/elms.hpp>

namespace {

std::string by_cpp(const char* path) {
  auto pool = elms::ThreadPool::create(1);
  if (!pool.has_value()) return {};
  elms::OpenOptions options;
  options.pool = *pool;
  const auto model = elms::ElasticModel::open(path, options);
  if (!model.has_value()) return {};
  const auto tokenizer = (*model)->tokenizer();
  auto session = elms::Session::create(*model, {.context_tokens = 64});
  if (!tokenizer.has_value() || !session.has_value()) return {};
  elms::GenerateOptions generate;
  generate.max_tokens = 12;
  const auto answer =
      elms::generate(*session, **tokenizer, (*tokenizer)->encode("Once upon a time"), generate);
  return answer.has_value() ? answer->text : std::string();
}

std::string by_c(const char* path) {
  elms_model* model = nullptr;
  elms_session* session = nullptr;
  elms_answer* answer = nullptr;
  elms_generate_options options{};
  options.struct_size = sizeof options;
  options.max_tokens = 12;
  elms_error error;
  const char prompt[] = "Once upon a time";
  std::string text;
  if (elms_model_open(path, nullptr, &model, &error) == ELMS_OK &&
      elms_session_create(model, nullptr, &session, &error) == ELMS_OK &&
      elms_generate(session, prompt, std::strlen(prompt), &options, &answer, &error) == ELMS_OK) {
    text = elms_answer_text(answer);
  }
  elms_answer_free(answer);
  elms_session_free(session);
  elms_model_close(model);
  return text;
}

}  // namespace

extern "C" const char* plugin_version() {
  return elms_version();
}
extern "C" std::size_t plugin_model_bytes() {
  return sizeof(elms::ElasticModel);
}
extern "C" const char* plugin_answer(const char* path, int in_c) {
  static thread_local std::string text;
  text = in_c != 0 ? by_c(path) : by_cpp(path);
  return text.c_str();
}
