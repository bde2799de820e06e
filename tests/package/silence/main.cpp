// All that a host does with the device library, in phases that a tracer can tell apart: each begins with
// access() to a path that names it. silence MODEL REFINER; check.sh says what is allowed in which phase.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "elms/elms.hpp"

namespace {

std::array<const char*, 64> g_asked{};  ///< names, which are literals of whoever asks
std::size_t g_n_asked = 0;

void phase(const char* name) {
  (void)::access((std::string("/phase/") + name).c_str(), F_OK);
}

elms::Status answer(const std::shared_ptr<const elms::ElasticModel>& model) {
  ELMS_ASSIGN_OR_RETURN(const auto tokenizer, model->tokenizer());
  ELMS_ASSIGN_OR_RETURN(elms::Session session, elms::Session::create(model, {.context_tokens = 128}));
  for (const double width : {1.0, 0.3}) {
    session.set_width(width);
    elms::GenerateOptions options;
    options.max_tokens = 8;
    ELMS_ASSIGN_OR_RETURN(const auto result, elms::generate(session, *tokenizer,
                                                            tokenizer->encode("Once upon a time"), options));
    (void)result;
    session.reset();
  }
  return {};
}

elms::Status refine(const std::string& path, const elms::Tokenizer& target,
                    const std::shared_ptr<elms::ThreadPool>& pool) {
  ELMS_ASSIGN_OR_RETURN(const auto refiner, elms::PromptRefiner::open(path, {.pool = pool}));
  const elms::Segment prompt[] = {
      elms::Segment::compress("There was a little house in the wood, and nobody lived in it.")};
  ELMS_ASSIGN_OR_RETURN(const auto refined, refiner->refine(prompt, target, elms::RefineBudget::keep(0.5)));
  (void)refined;
  return {};
}

elms::Status run(const std::string& model_path, const std::string& refiner_path) {
  phase("one_thread");
  ELMS_ASSIGN_OR_RETURN(auto pool, elms::ThreadPool::create(1));
  elms::OpenOptions options;
  options.pool = pool;
  ELMS_ASSIGN_OR_RETURN(auto model, elms::ElasticModel::open(model_path, options));
  ELMS_RETURN_IF_ERROR(answer(model));
  ELMS_ASSIGN_OR_RETURN(const auto tokenizer, model->tokenizer());
  ELMS_RETURN_IF_ERROR(refine(refiner_path, *tokenizer, pool));

  phase("errors");
  if (elms::ElasticModel::open(refiner_path, options).has_value() ||
      elms::ElasticModel::open("/absent.gguf", options).has_value()) {
    return elms::Status(elms::StatusCode::kInvalidArgument, "opened what is no model");
  }

  phase("two_threads_not_yet_used");
  ELMS_ASSIGN_OR_RETURN(pool, elms::ThreadPool::create(2));

  phase("two_threads");
  options.pool = pool;
  ELMS_ASSIGN_OR_RETURN(model, elms::ElasticModel::open(model_path, options));
  ELMS_RETURN_IF_ERROR(answer(model));
  return {};
}

}  // namespace

/// Stands before the C library's: who asks for what is remembered.
extern "C" char* getenv(const char* name) noexcept {
  if (g_n_asked < g_asked.size()) g_asked[g_n_asked++] = name;
  const std::size_t size = std::strlen(name);
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, name, size) == 0 && (*entry)[size] == '=') return *entry + size + 1;
  }
  return nullptr;
}
extern "C" char* secure_getenv(const char* name) noexcept {
  return getenv(name);
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  g_n_asked = 0;
  const elms::Status status = run(argv[1], argv[2]);
  phase("over");
  if (!status.ok()) {
    std::fprintf(stderr, "silence: %s\n", status.message().c_str());
    return 1;
  }
  for (std::size_t i = 0; i < g_n_asked; ++i) {
    const auto same = [&](const char* other) { return std::strcmp(other, g_asked[i]) == 0; };
    if (std::none_of(g_asked.begin(), g_asked.begin() + static_cast<std::ptrdiff_t>(i), same))
      std::printf("environment %s\n", g_asked[i]);
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf("peak_kib %ld\n", usage.ru_maxrss);
  return 0;
}
