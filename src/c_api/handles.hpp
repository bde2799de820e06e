// What the opaque handles of elms.h hold.
#pragma once

#include <memory>

#include "elms/elastic_model.hpp"
#include "elms/generate.hpp"
#include "elms/session.hpp"

struct elms_model {
  std::shared_ptr<const elms::ElasticModel> model;
};

struct elms_session {
  elms::Session session;
};

struct elms_answer {
  elms::Generated generated;
};
