// The fuzzer's inputs, and cut and changed copies of them, through the fuzzer's own checks (which abort).
#include <algorithm>
#include <filesystem>

#include "support.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::vector<std::vector<std::uint8_t>> read_corpus() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry :
       std::filesystem::directory_iterator(ELMS_TEST_DATA_DIR "/../fuzz/corpus/tokenizer")) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::vector<std::uint8_t>> corpus;
  for (const auto& path : paths) corpus.push_back(elms_test::read_bytes(path.string()));
  return corpus;
}

}  // namespace

TEST_CASE("the tokenizer fuzzer's corpus, cut anywhere", "[text][fuzz]") {
  const auto corpus = read_corpus();
  REQUIRE(corpus.size() >= 10);
  for (const auto& input : corpus) {
    for (std::size_t size = 0; size <= input.size(); ++size) LLVMFuzzerTestOneInput(input.data(), size);
  }
}

TEST_CASE("the tokenizer fuzzer's corpus with changed bytes", "[text][fuzz]") {
  auto rng = elms_test::make_rng(77);
  for (auto input : read_corpus()) {
    for (int round = 0; round < 300; ++round) {
      auto changed = input;
      for (auto n = 1 + rng() % 3; n > 0; --n) {
        const std::size_t at = 1 + rng() % (changed.size() - 1);
        changed[at] = static_cast<std::uint8_t>(rng() % 2 == 0 ? rng() : changed[at] ^ (1u << rng() % 8));
      }
      CHECK(LLVMFuzzerTestOneInput(changed.data(), changed.size()) == 0);
    }
  }
}
