// Every way to cut a file short, and flips of its bytes: what is made of it is an error, or what the whole
// file gives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "elms/status.hpp"

namespace elms_test {

/// Does all that a file is for. The text is everything that came of it; any error counts as a refusal.
using Use = std::function<elms::Result<std::string>()>;

/// Byte ranges [first, second).
using ByteRanges = std::vector<std::pair<std::size_t, std::size_t>>;

/// What the rest of a sweep may hold against the library.
struct SweepRules {
  /// The file is one that is done without when it is damaged: nothing is refused, every result is the same.
  bool always_same = false;
  std::size_t step = 1;  ///< of truncations: every so many bytes, where another sweep has them all
  /// Bytes that nothing is computed from: a flip there is refused or changes nothing.
  ByteRanges inert{};
};

/// Uses the file at `path` cut to every size below its own (or one in `step`), then restores it. A case fails
/// where `use` succeeds with another result than with the whole file.
void sweep_truncations(const std::string& path, const Use& use, const SweepRules& rules = {});

/// Uses it with each of these bytes changed in each of three ways (all bits, the lowest, the highest), one at
/// a time. Other numbers may be a model too, so results may differ; none may crash, hang, or take memory that
/// a small file cannot need.
void sweep_flips(const std::string& path, const ByteRanges& bytes, const Use& use,
                 const SweepRules& rules = {});

}  // namespace elms_test
