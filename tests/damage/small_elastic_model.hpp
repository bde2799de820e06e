// An elastic model of 20 KiB with every kind of metadata, an adapter beside it, and all that can be asked of
// them.
#pragma once

#include <memory>
#include <string>

#include "elms/elastic_model.hpp"
#include "elms/thread_pool.hpp"

namespace elms_test {

/// Tokens with scores and types, a chat template, two levels, importances and orders, a quality table, and
/// the name of the lower level's adapter, which is written beside it. Returns its path.
std::string write_small_elastic_model(const std::string& name, const std::string& adapter_name);

/// One token after the other at every level, levels and quality table, text to tokens and back, a rendered
/// chat. `cache`: see OpenOptions::pack_cache.
elms::Result<std::string> use_model(const std::string& path, const std::shared_ptr<elms::ThreadPool>& pool,
                                    const std::string& cache = {});

}  // namespace elms_test
