// Damaged refiners.
#include "../refine/refiner_file.hpp"
#include "elms/detail/gguf.hpp"
#include "elms/prompt_refiner.hpp"
#include "support.hpp"
#include "sweeps.hpp"

using namespace elms_test;
using elms::Segment;

TEST_CASE("damage: a refiner", "[damage]") {
  const std::string path = RefinerFileWriter::write("refiner.gguf");
  auto pool = elms::ThreadPool::create(1);
  REQUIRE_OK(pool);
  const std::vector<Segment> prompt = {Segment::protect("say it. "), Segment::compress("one two, three")};
  const Use use = [&]() -> elms::Result<std::string> {
    ELMS_ASSIGN_OR_RETURN(const auto refiner, elms::PromptRefiner::open(path, {.pool = *pool}));
    ELMS_ASSIGN_OR_RETURN(const elms::PromptAnalysis analysis,
                          refiner->analyse(prompt, {}, {.ttft = 0.5, .tpot = 0.5}));
    std::string text;
    for (const std::vector<float>* values :
         {&analysis.scores, &analysis.strategies.widths, &analysis.strategies.keep_ratios,
          &analysis.strategies.quality}) {
      text.append(reinterpret_cast<const char*>(values->data()), values->size() * sizeof(float))
          .push_back('\n');
    }
    return text;
  };
  SECTION("cut short") {
    sweep_truncations(path, use);
  }
  SECTION("flipped") {
    const auto file = elms::detail::GgufFile::open(path);
    REQUIRE_OK(file);
    const std::size_t header_bytes = file->header_bytes().size();
    sweep_flips(path, {{0, header_bytes}}, use);
  }
}
