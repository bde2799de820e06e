// Files of raw data: which there are under a path, JSON of any shape, and tables with quotes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "elms/status.hpp"

namespace elms::inline v0::offline::tasks {

struct RawFile {
  std::string path;
  std::string name;  ///< without its folder
  std::string folder;
  bool asked_for = false;  ///< named by the caller, not found in a folder
};

/// Files themselves; of folders, all files below them (eight levels deep) with one of the extensions
/// (".json"), by name. kNotFound for a path that is not there, kInvalidArgument for none at all.
[[nodiscard]] Result<std::vector<RawFile>> list_files(const std::vector<std::string>& inputs,
                                                      const std::vector<std::string_view>& extensions);

/// A whole file, without byte order mark; bytes that are no UTF-8 are taken for Latin-1, which old data sets
/// mix in.
[[nodiscard]] Result<std::string> read_utf8(const std::string& path);

/// kMalformedFile for what is no JSON or nests too deeply.
[[nodiscard]] Result<nlohmann::json> read_json(const std::string& path);

/// The text under a key; empty where there is none.
[[nodiscard]] std::string text_at(const nlohmann::json& object, const char* key);
/// The value under a key; null where there is none.
[[nodiscard]] const nlohmann::json& value_at(const nlohmann::json& object, const char* key);

using Row = std::vector<std::string>;
/// Rows of a table whose fields may be quoted as RFC 4180 says. Empty lines are left out. kMalformedFile
/// names the line where a quote that never ends begins.
[[nodiscard]] Result<std::vector<Row>> parse_table(std::string_view text, char separator,
                                                   std::string_view file);
/// The most frequent of tab, semicolon and comma in the first line.
[[nodiscard]] char separator_of(std::string_view text);

/// A file as a table: its rows, and where the header says that a column is (lower case); empty header: there
/// is none.
struct RawTable {
  std::vector<Row> rows;
  Row header;
  /// First column with one of those names; -1.
  [[nodiscard]] int column(const std::vector<std::string_view>& names) const;
};
/// The first row is a header when one of its fields is in `header_words`.
[[nodiscard]] Result<RawTable> read_table(const std::string& path,
                                          const std::vector<std::string_view>& header_words);

}  // namespace elms::inline v0::offline::tasks
