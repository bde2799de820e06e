// How commands show the importance of units that an elastic file keeps.
#pragma once

#include "cli/console.hpp"
#include "cli/plot.hpp"
#include "elms/detail/elastic_metadata.hpp"
#include "elms/model_config.hpp"

namespace elms_cli {

/// kNotFound for a file without scores.
elms::Status check_importance(const elms::ModelConfig& config, const elms::detail::ElasticMetadata& elastic);

/// {"method", "layers": [{"heads": [...], "ffn_units": [...]}]}, in the file's order.
Json importance_json(const elms::ModelConfig& config, const elms::detail::ElasticMetadata& elastic);

/// For each layer: the least, mean and greatest score of heads and FFN units, and how few of them hold most
/// of it.
void print_importance(const elms::ModelConfig& config, const elms::detail::ElasticMetadata& elastic);

/// By layer: the share of units that hold 90% of the layer's importance. Scores themselves may not be
/// comparable between layers; this is.
Plot importance_plot(const elms::ModelConfig& config, const elms::detail::ElasticMetadata& elastic,
                     const std::string& model);

}  // namespace elms_cli
