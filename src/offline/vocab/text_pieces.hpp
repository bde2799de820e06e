// The texts of files, line by line, as a trainer of vocabularies reads them. Internal to src/offline.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "elms/detail/file_mapping.hpp"
#include "elms/offline/vocabulary.hpp"
#include "offline/progress_meter.hpp"

namespace elms::inline v0::offline {

/// Lines of all text files, then of all JSONL files; long ones in several pieces. What begins a text (a
/// paragraph, an example) begins with the space that a tokenizer will put there. One thread; the options must
/// outlive it.
class TextPieces {
 public:
  /// No piece is longer.
  static constexpr std::size_t kMaxPieceBytes = 4096;

  [[nodiscard]] static Result<TextPieces> open(const VocabularyOptions& options);

  /// Sets `piece` to the next, or returns false at the end.
  [[nodiscard]] Result<bool> next(std::string& piece);

  /// Of the texts that were handed out.
  [[nodiscard]] std::uint64_t text_bytes() const noexcept { return text_bytes_; }

 private:
  struct File {
    detail::FileMapping mapping;
    bool is_jsonl;
  };
  explicit TextPieces(const VocabularyOptions& options) : progress_(options.progress, "read") {}
  /// Moves to the next line with something in it; false at the end of everything.
  [[nodiscard]] Result<bool> next_line();
  [[nodiscard]] Result<bool> next_line_of_file();
  void begin_file();

  ProgressMeter progress_;
  std::vector<File> files_;
  std::size_t file_ = 0;
  std::size_t line_number_ = 0;  ///< in the file
  std::string_view unread_;      ///< of the file
  std::string example_;          ///< text of the JSON line that is being read
  std::string_view example_unread_;
  std::string_view line_;     ///< what next() has not handed out of it
  bool begins_text_ = true;   ///< the next line is the first of its text
  bool needs_space_ = false;  ///< before the next piece
  std::uint64_t text_bytes_ = 0, total_bytes_ = 0, done_bytes_ = 0;
};

}  // namespace elms::inline v0::offline
