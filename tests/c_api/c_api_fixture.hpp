// Handles that free themselves, the models that ship, and structs with their size set.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "elms/elms.h"
#include "elms/elms.hpp"
#include "support.hpp"
#include "test_model.hpp"

namespace elms_test {

/// The model that ships, which has a vocabulary and levels, but no chat template.
inline std::string mini_path() {
  return std::string(ELMS_TEST_DATA_DIR) + "/../../examples/models/elms-mini.gguf";
}
inline std::string refiner_path() {
  return std::string(ELMS_TEST_DATA_DIR) + "/../../examples/models/elms-refiner.gguf";
}

template <auto kFree>
struct FreesHandle {
  template <typename Handle>
  void operator()(Handle* handle) const {
    kFree(handle);
  }
};
using ModelHandle = std::unique_ptr<elms_model, FreesHandle<elms_model_close>>;
using SessionHandle = std::unique_ptr<elms_session, FreesHandle<elms_session_free>>;
using AnswerHandle = std::unique_ptr<elms_answer, FreesHandle<elms_answer_free>>;
using CancelHandle = std::unique_ptr<elms_cancel, FreesHandle<elms_cancel_free>>;
using RefinerHandle = std::unique_ptr<elms_refiner, FreesHandle<elms_refiner_close>>;
using RefinedHandle = std::unique_ptr<elms_refined, FreesHandle<elms_refined_free>>;
using ProfileHandle = std::unique_ptr<elms_profile, FreesHandle<elms_profile_free>>;
using PlannerHandle = std::unique_ptr<elms_planner, FreesHandle<elms_planner_free>>;
using ServiceHandle = std::unique_ptr<elms_service, FreesHandle<elms_service_free>>;

/// {.struct_size = sizeof it}.
template <typename Struct>
Struct sized() {
  Struct filled{};
  filled.struct_size = sizeof filled;
  return filled;
}

inline ModelHandle open_in_c(const std::string& path) {
  auto options = sized<elms_open_options>();
  options.n_threads = 1;
  elms_model* model = nullptr;
  elms_error error{};
  const elms_code code = elms_model_open(path.c_str(), &options, &model, &error);
  INFO(error.message);
  REQUIRE(code == ELMS_OK);
  return ModelHandle(model);
}

inline RefinerHandle open_refiner_in_c() {
  auto options = sized<elms_refiner_options>();
  options.n_threads = 1;
  elms_refiner* refiner = nullptr;
  elms_error error{};
  const elms_code code = elms_refiner_open(refiner_path().c_str(), &options, &refiner, &error);
  INFO(error.message);
  REQUIRE(code == ELMS_OK);
  return RefinerHandle(refiner);
}

inline std::shared_ptr<const elms::PromptRefiner> open_refiner_in_cpp() {
  elms::PromptRefinerOptions options;
  options.pool = make_pool(1);
  auto refiner = elms::PromptRefiner::open(refiner_path(), options);
  REQUIRE_OK(refiner);
  return *refiner;
}

/// The text must outlive it.
inline elms_segment segment_in_c(std::string_view text, elms_role role, bool compressible,
                                 double keep_ratio = 0.0) {
  auto segment = sized<elms_segment>();
  segment.text = text.data();
  segment.text_bytes = text.size();
  segment.role = role;
  segment.compressible = compressible ? 1 : 0;
  segment.keep_ratio = keep_ratio;
  return segment;
}

/// A prompt with something to cut, in both languages.
struct SamplePrompt {
  static constexpr std::string_view kSystem = "Answer from the notes, in one word.\n";
  static constexpr std::string_view kNotes =
      "The committee met on 12 March 2024 in the old town hall, as it had always done before. After a long "
      "and "
      "rather tiring discussion about chairs, the members agreed that the bridge would be painted green. "
      "Nobody "
      "spoke of the cost, which is 4,500 euros! Mr. Brown left early; the others stayed for tea and "
      "biscuits.\n";
  static constexpr std::string_view kQuestion = "Which colour will the bridge be?\nAnswer:";

  std::vector<elms_segment> in_c = {segment_in_c(kSystem, ELMS_ROLE_SYSTEM, false),
                                    segment_in_c(kNotes, ELMS_ROLE_CONTEXT, true),
                                    segment_in_c(kQuestion, ELMS_ROLE_QUESTION, false)};
  std::vector<elms::Segment> in_cpp = {
      elms::Segment::protect(std::string(kSystem), elms::SegmentRole::kSystem),
      elms::Segment::compress(std::string(kNotes)),
      elms::Segment::protect(std::string(kQuestion), elms::SegmentRole::kQuestion)};
  std::string text = std::string(kSystem) + std::string(kNotes) + std::string(kQuestion);
};

}  // namespace elms_test
