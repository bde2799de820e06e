// Which device profile a command predicts with.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "elms/device_profile.hpp"
#include "elms/elastic_model.hpp"

namespace elms_cli {

/// The profile of a file that the user named; without a name the one that `elms calibrate --save` wrote for
/// this model, if any. What cannot be read is an error only where it was named.
inline elms::Result<std::optional<elms::DeviceProfile>> find_profile(const elms::ElasticModel& model,
                                                                     const std::string& named) {
  const std::string path =
      named.empty() ? elms::profile_path(model.path(), model.pool()->n_threads()) : named;
  elms::Result<elms::DeviceProfile> loaded = elms::DeviceProfile::load(path);
  if (loaded.has_value()) return std::optional<elms::DeviceProfile>(std::move(*loaded));
  if (named.empty()) return std::optional<elms::DeviceProfile>();
  return loaded.error();
}

}  // namespace elms_cli
