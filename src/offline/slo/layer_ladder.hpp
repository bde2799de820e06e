// Layer dropping as a way to serve requests: dense models of falling depth, each in memory.
#pragma once

#include <memory>
#include <string>

#include "offline/slo/contender.hpp"

namespace elms::inline v0::offline {

/// Sends a request to the deepest model that is predicted to be in time. Writes, opens and calibrates a model
/// for every depth; the files are gone when it returns.
[[nodiscard]] Result<std::unique_ptr<Contender>> make_layer_ladder(std::string name,
                                                                   const ContenderParts& parts);

}  // namespace elms::inline v0::offline
