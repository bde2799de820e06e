// The fuzzers' inputs, and cut and changed copies of them, through the fuzzers' own checks, which end the
// process.
#include <filesystem>
#include <vector>

#include "support.hpp"
#include "tests/fuzz/fuzz_targets.hpp"

namespace {

using Input = std::vector<std::uint8_t>;
using FuzzTarget = void (*)(elms_test::FuzzBytes);

std::vector<Input> read_corpus(const std::string& name) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(ELMS_FUZZ_CORPUS) + "/" + name))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<Input> corpus;
  for (const auto& path : paths) corpus.push_back(elms_test::read_bytes(path.string()));
  return corpus;
}

/// `n_cuts` and `n_changes` are of the whole corpus, so that a grown one takes no longer.
void replay(const std::string& name, FuzzTarget target, std::size_t n_cuts, std::size_t n_changes) {
  const std::vector<Input> corpus = read_corpus(name);
  REQUIRE(!corpus.empty());
  for (const Input& input : corpus) target(input);

  auto rng = elms_test::make_rng(77);
  const auto any_input = [&]() -> const Input& { return corpus[rng() % corpus.size()]; };
  for (std::size_t i = 0; i < n_cuts; ++i) {
    const Input& input = any_input();
    target(Input(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(rng() % (input.size() + 1))));
  }
  for (std::size_t i = 0; i < n_changes; ++i) {
    Input changed = any_input();
    for (auto n = 1 + rng() % 3; n > 0 && !changed.empty(); --n) {
      std::uint8_t& byte = changed[rng() % changed.size()];
      byte = static_cast<std::uint8_t>(rng() % 2 == 0 ? rng() : byte ^ (1u << rng() % 8));
    }
    target(changed);
  }
}

}  // namespace

TEST_CASE("corpus of fuzz_c_api", "[fuzz]") {
  replay("c_api", elms_test::fuzz_c_api, 300, 1000);
}
TEST_CASE("corpus of fuzz_chat_template", "[fuzz]") {
  replay("chat_template", elms_test::fuzz_chat_template, 1000, 3000);
}
TEST_CASE("corpus of fuzz_gguf", "[fuzz]") {
  replay("gguf", elms_test::fuzz_gguf, 1000, 3000);
}
TEST_CASE("corpus of fuzz_model_file", "[fuzz]") {
  replay("model_file", elms_test::fuzz_model_file, 300, 1000);
}
TEST_CASE("corpus of fuzz_planner_files", "[fuzz]") {
  replay("planner_files", elms_test::fuzz_planner_files, 1000, 3000);
}
TEST_CASE("corpus of fuzz_refine", "[fuzz]") {
  replay("refine", elms_test::fuzz_refine, 1000, 3000);
}
TEST_CASE("corpus of fuzz_refiner_file", "[fuzz]") {
  replay("refiner_file", elms_test::fuzz_refiner_file, 300, 1000);
}
TEST_CASE("corpus of fuzz_safetensors", "[fuzz]") {
  replay("safetensors", elms_test::fuzz_safetensors, 1000, 3000);
}
TEST_CASE("corpus of fuzz_tokenizer", "[fuzz]") {
  replay("tokenizer", elms_test::fuzz_tokenizer, 2000, 4000);
}
