#include "offline/vocab/text_pieces.hpp"

#include <utility>

#include "elms/detail/error.hpp"
#include "offline/jsonl.hpp"

namespace elms::inline v0::offline {
namespace {

std::string_view text_of(const detail::FileMapping& mapping) {
  const std::span<const std::uint8_t> bytes = mapping.bytes();
  return without_byte_order_mark({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

/// Where to cut a line that is too long: before a space, which then begins the rest, else between characters.
std::size_t cut_of(std::string_view line, std::size_t max_bytes) {
  if (line.size() <= max_bytes) return line.size();
  const std::size_t space = line.rfind(' ', max_bytes);
  if (space != line.npos && space > 0) return space;
  std::size_t cut = max_bytes;
  while (cut > max_bytes - 4 && (static_cast<unsigned char>(line[cut]) & 0xC0u) == 0x80u) --cut;
  return cut;
}

}  // namespace

Result<TextPieces> TextPieces::open(const VocabularyOptions& options) {
  TextPieces pieces(options);
  const auto add = [&](const std::vector<std::string>& paths, bool is_jsonl) -> Status {
    for (const std::string& path : paths) {
      ELMS_ASSIGN_OR_RETURN(detail::FileMapping mapping, detail::FileMapping::open(path));
      pieces.total_bytes_ += mapping.bytes().size();
      pieces.files_.push_back({std::move(mapping), is_jsonl});
    }
    return {};
  };
  ELMS_RETURN_IF_ERROR(add(options.text_files, false));
  ELMS_RETURN_IF_ERROR(add(options.jsonl_files, true));
  if (pieces.files_.empty()) return detail::invalid_argument("vocabulary: no files to train on");
  pieces.begin_file();
  return pieces;
}

void TextPieces::begin_file() {
  unread_ = text_of(files_[file_].mapping);
  line_number_ = 0;
  begins_text_ = true;
}

Result<bool> TextPieces::next_line_of_file() {
  const bool is_jsonl = files_[file_].is_jsonl;
  std::string_view& rest = is_jsonl ? example_unread_ : unread_;
  while (rest.empty() && is_jsonl && !unread_.empty()) {
    const std::string_view line = take_line(unread_);
    ++line_number_;
    if (is_blank(line)) continue;
    ELMS_ASSIGN_OR_RETURN(const JsonExample example,
                          parse_example(line, files_[file_].mapping.path(), line_number_));
    example_ = example.prompt + example.completion;
    example_unread_ = example_;
    begins_text_ = true;
  }
  if (rest.empty()) return false;
  line_ = take_line(rest);
  return true;
}

Result<bool> TextPieces::next_line() {
  while (true) {
    ELMS_ASSIGN_OR_RETURN(const bool found, next_line_of_file());
    if (!found) {
      done_bytes_ += files_[file_].mapping.bytes().size();
      if (++file_ == files_.size()) return false;
      begin_file();
    } else if (line_.empty()) {
      begins_text_ |= !files_[file_].is_jsonl;
    } else {
      needs_space_ = std::exchange(begins_text_, false);
      const double unread = static_cast<double>(unread_.size());
      const double read = static_cast<double>(done_bytes_ + files_[file_].mapping.bytes().size()) - unread;
      ELMS_RETURN_IF_ERROR(progress_.report(read / static_cast<double>(total_bytes_)));
      return true;
    }
  }
}

Result<bool> TextPieces::next(std::string& piece) {
  if (line_.empty()) {
    if (file_ == files_.size()) return false;
    ELMS_ASSIGN_OR_RETURN(const bool found, next_line());
    if (!found) return false;
  }
  piece.clear();
  if (std::exchange(needs_space_, false)) piece.push_back(' ');
  const std::size_t cut = cut_of(line_, kMaxPieceBytes - 1);
  piece.append(line_.substr(0, cut));
  line_.remove_prefix(cut);
  text_bytes_ += cut;
  return true;
}

}  // namespace elms::inline v0::offline
