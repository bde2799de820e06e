#include <cmath>
#include <cstdlib>
#include <utility>

#include "elms/detail/error.hpp"
#include "offline/train/dataset.hpp"

namespace elms::inline v0::offline::train {
namespace {

/// What follows a path. False where it is none of them, and so may be part of a path.
bool read_option(std::string_view option, DataSource& source) {
  if (option == "loss=all" || option == "loss=answers" || option == "loss=completion") {
    source.learnt = option == "loss=all"       ? LearntText::kAll
                    : option == "loss=answers" ? LearntText::kAnswers
                                               : LearntText::kCompletion;
    return true;
  }
  if (option.starts_with("split=") && option.size() > 6) {
    const std::string_view how = option.substr(6);
    source.split = how == "blank"  ? DocumentSplit::kBlankLines
                   : how == "file" ? DocumentSplit::kWholeFile
                                   : DocumentSplit::kSeparator;
    if (source.split == DocumentSplit::kSeparator) source.separator = how;
    return true;
  }
  const std::string number(option);
  char* end = nullptr;
  const double weight = std::strtod(number.c_str(), &end);
  if (number.empty() || end != number.c_str() + number.size()) return false;
  source.weight = weight;
  return true;
}

Result<DataSource> parse_data_source(std::string_view text) {
  DataSource source;
  const std::string_view whole = text;
  for (std::size_t colon = text.rfind(':'); colon != text.npos; colon = text.rfind(':')) {
    if (!read_option(text.substr(colon + 1), source)) break;
    text = text.substr(0, colon);
  }
  if (text.empty()) return detail::invalid_argument("training data '", whole, "': expected a path");
  if (!(source.weight > 0.0) || !std::isfinite(source.weight)) {
    return detail::invalid_argument("training data '", whole, "': a weight of ", source.weight,
                                    "; expected more than 0");
  }
  source.path = text;
  return source;
}

}  // namespace

Result<std::vector<DataSource>> parse_data_sources(std::string_view text) {
  std::vector<DataSource> sources;
  while (true) {
    const std::size_t comma = text.find(',');
    ELMS_ASSIGN_OR_RETURN(DataSource source, parse_data_source(text.substr(0, comma)));
    sources.push_back(std::move(source));
    if (comma == text.npos) return sources;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace elms::inline v0::offline::train
