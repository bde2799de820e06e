#include "offline/tasks/raw_files.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "elms/detail/error.hpp"
#include "elms/detail/file_mapping.hpp"
#include "io/json_file.hpp"
#include "offline/tasks/words.hpp"

namespace elms::inline v0::offline::tasks {
namespace {

namespace fs = std::filesystem;
using detail::error;
using detail::malformed;

constexpr std::uint64_t kMaxBytes = 1u << 28;
constexpr int kMaxFolderDepth = 8;

RawFile raw_file(const fs::path& path, bool asked_for) {
  return {path.string(), path.filename().string(), path.parent_path().string(), asked_for};
}

bool has_extension(const fs::path& path, const std::vector<std::string_view>& extensions) {
  const std::string extension = lower_case(path.extension().string());
  return std::find(extensions.begin(), extensions.end(), extension) != extensions.end();
}

Status add_folder(const fs::path& folder, const std::vector<std::string_view>& extensions,
                  std::vector<RawFile>& files) {
  std::error_code failure;
  std::vector<fs::path> found;
  fs::recursive_directory_iterator entry(folder, failure);
  for (const fs::recursive_directory_iterator end; !failure && entry != end; entry.increment(failure)) {
    if (entry.depth() >= kMaxFolderDepth) entry.disable_recursion_pending();
    std::error_code unreadable;
    if (entry->is_regular_file(unreadable) && has_extension(entry->path(), extensions))
      found.push_back(entry->path());
  }
  if (failure) return error(StatusCode::kIoError, folder.string(), ": ", failure.message());
  std::sort(found.begin(), found.end());
  for (const fs::path& path : found) files.push_back(raw_file(path, false));
  return {};
}

/// Length of the UTF-8 character at the start of the text; 0 where there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t n = lead >= 0xC2 && lead < 0xE0   ? 2
                        : lead >= 0xE0 && lead < 0xF0 ? 3
                        : lead >= 0xF0 && lead < 0xF5 ? 4
                                                      : 0;
  if (n == 0 || text.size() < n) return 0;
  for (std::size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what is above U+10FFFF.
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F)) return 0;
  if ((lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) return 0;
  return n;
}

std::string repaired(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t n = utf8_length(text);
    if (n == 0) {
      const auto latin1 = static_cast<unsigned char>(text[0]);
      out += static_cast<char>(0xC0 | (latin1 >> 6));
      out += static_cast<char>(0x80 | (latin1 & 0x3F));
      text.remove_prefix(1);
    } else {
      out.append(text.substr(0, n));
      text.remove_prefix(n);
    }
  }
  return out;
}

}  // namespace

Result<std::vector<RawFile>> list_files(const std::vector<std::string>& inputs,
                                        const std::vector<std::string_view>& extensions) {
  if (inputs.empty()) return detail::invalid_argument("tasks: no input file or folder");
  std::vector<RawFile> files;
  for (const std::string& input : inputs) {
    std::error_code failure;
    const fs::file_status status = fs::status(input, failure);
    if (status.type() == fs::file_type::not_found)
      return error(StatusCode::kNotFound, input, ": no such file or folder");
    if (fs::is_directory(status)) {
      const std::size_t before = files.size();
      ELMS_RETURN_IF_ERROR(add_folder(input, extensions, files));
      if (files.size() == before) {
        return error(StatusCode::kNotFound, input, ": the folder holds no file that ends in ",
                     extensions.front());
      }
    } else {
      files.push_back(raw_file(input, true));
    }
  }
  return files;
}

Result<std::string> read_utf8(const std::string& path) {
  ELMS_ASSIGN_OR_RETURN(const detail::FileMapping file, detail::FileMapping::open(path));
  const std::span<const std::uint8_t> bytes = file.bytes();
  if (bytes.size() > kMaxBytes)
    return malformed(path, ": expected at most ", kMaxBytes, " bytes, found ", bytes.size());
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  return repaired(text);
}

Result<nlohmann::json> read_json(const std::string& path) {
  ELMS_ASSIGN_OR_RETURN(const std::string text, read_utf8(path));
  ELMS_ASSIGN_OR_RETURN(detail::JsonDocument document, detail::parse_json(text, path));
  return std::move(document).take();
}

std::string text_at(const nlohmann::json& object, const char* key) {
  const nlohmann::json& value = value_at(object, key);
  const auto* text = value.get_ptr<const nlohmann::json::string_t*>();
  return text == nullptr ? std::string() : *text;
}

const nlohmann::json& value_at(const nlohmann::json& object, const char* key) {
  static const nlohmann::json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

Result<std::vector<Row>> parse_table(std::string_view text, char separator, std::string_view file) {
  std::vector<Row> rows;
  std::size_t line = 1;
  for (std::size_t i = 0; i < text.size();) {
    Row row;
    for (bool row_ends = false; !row_ends;) {
      std::string field;
      // A quote opens a field only at its start; elsewhere it is a character like any other.
      if (i < text.size() && text[i] == '"') {
        const std::size_t opened = line;
        for (++i;; ++i) {
          if (i >= text.size())
            return malformed(file, ":", opened, ": the quote that begins here never ends");
          if (text[i] == '\n') ++line;
          if (text[i] != '"') {
            field += text[i];
          } else if (i + 1 < text.size() && text[i + 1] == '"') {
            field += text[i++];
          } else {
            break;
          }
        }
        ++i;
      }
      while (i < text.size() && text[i] != separator && text[i] != '\n') {
        if (text[i] != '\r' || (i + 1 < text.size() && text[i + 1] != '\n')) field += text[i];
        ++i;
      }
      row.push_back(std::move(field));
      row_ends = i >= text.size() || text[i] == '\n';
      if (i < text.size()) ++i;
      // A separator just before the end of the file leaves one more field, which is empty.
      if (!row_ends && i >= text.size()) {
        row.emplace_back();
        row_ends = true;
      }
    }
    ++line;
    if (row.size() > 1 || !row.front().empty()) rows.push_back(std::move(row));
  }
  return rows;
}

char separator_of(std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  char best = ',';
  std::ptrdiff_t most = 0;
  for (const char candidate : {'\t', ';', ','}) {
    const std::ptrdiff_t n = std::count(line.begin(), line.end(), candidate);
    if (n > most) best = candidate, most = n;
  }
  return best;
}

int RawTable::column(const std::vector<std::string_view>& names) const {
  for (const std::string_view name : names) {
    const auto found = std::find(header.begin(), header.end(), name);
    if (found != header.end()) return static_cast<int>(found - header.begin());
  }
  return -1;
}

Result<RawTable> read_table(const std::string& path, const std::vector<std::string_view>& header_words) {
  ELMS_ASSIGN_OR_RETURN(const std::string text, read_utf8(path));
  RawTable table;
  ELMS_ASSIGN_OR_RETURN(table.rows, parse_table(text, separator_of(text), path));
  if (table.rows.empty()) return malformed(path, ": expected a table, found no row");
  Row first;
  for (const std::string& field : table.rows.front()) first.push_back(lower_case(one_line(field)));
  const bool is_header = std::any_of(first.begin(), first.end(), [&](const std::string& field) {
    return std::find(header_words.begin(), header_words.end(), field) != header_words.end();
  });
  if (is_header) {
    table.header = std::move(first);
    table.rows.erase(table.rows.begin());
  }
  return table;
}

}  // namespace elms::inline v0::offline::tasks
