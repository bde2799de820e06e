// What the opaque handles of elms.h hold.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "elms/device_profile.hpp"
#include "elms/elastic_model.hpp"
#include "elms/elms.h"
#include "elms/prompt_refiner.hpp"
#include "elms/refine_options.hpp"
#include "elms/service.hpp"
#include "elms/session.hpp"
#include "elms/slo_planner.hpp"

struct elms_model {
  std::shared_ptr<const elms::ElasticModel> model;
};

struct elms_session {
  elms::Session session;
};

/// Of a session's text, times and reason are all that there is.
struct elms_answer {
  elms::Answer answer;
  bool of_service = false;
};

struct elms_refiner {
  std::shared_ptr<const elms::PromptRefiner> refiner;
};

struct elms_refined {
  elms::RefinedPrompt prompt;
  std::vector<elms_span> spans{};  ///< prompt.kept as C has it
};

struct elms_profile {
  elms::DeviceProfile profile;
  std::string json{};
};

struct elms_planner {
  std::shared_ptr<elms::SLOPlanner> planner;
};

struct elms_service {
  std::shared_ptr<elms::ElasticService> service;
};
