// Arguments of C API calls out of the bytes of a fuzz input: mostly good ones, and every way to get them
// wrong that a caller may be told of (a wrong pointer is none of these).
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "elms/elms.h"
#include "tests/fuzz/fuzz_targets.hpp"

namespace elms_test {

/// A struct and room behind it, since a newer caller's is longer.
template <typename T>
struct Roomy {
  T value{};
  std::array<unsigned char, 64> more{};
};

class CApiValues {
 public:
  explicit CApiValues(FuzzReader& in) : in_(in) {}

  std::int32_t integer() {
    constexpr std::array<std::int32_t, 6> kOdd = {
        -1, 0, 1, std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max(),
        300};  // more than any model here has of anything, in buffers that ASan marks in little time
    const std::uint8_t byte = in_.byte();
    return byte < 250 ? byte % 64 : kOdd[byte - 250];
  }
  double real() {
    constexpr std::array<double, 8> kOdd = {0.0,
                                            -1.0,
                                            1e-300,
                                            1e300,
                                            -0.0,
                                            std::numeric_limits<double>::infinity(),
                                            -std::numeric_limits<double>::infinity(),
                                            std::numeric_limits<double>::quiet_NaN()};
    const std::uint8_t byte = in_.byte();
    return byte < 248 ? byte / 200.0 : kOdd[byte - 248];
  }
  std::string_view text() { return in_.text(in_.byte()); }

  /// Ended by 0, valid while this is.
  const char* c_text() {
    kept_texts_.emplace_back(text());
    return kept_texts_.back().c_str();
  }
  const char* const* c_texts(std::size_t& n) {
    n = in_.byte() % 4;
    auto& texts = kept_arrays_.emplace_back();
    for (std::size_t i = 0; i < n; ++i) texts.push_back(in_.byte() % 32 == 0 ? nullptr : c_text());
    return in_.byte() % 32 == 0 ? nullptr : texts.data();
  }

  /// Fills struct_size, nearly always with what it is. Null now and then.
  template <typename T>
  T* sized(Roomy<T>& room) {
    const std::uint8_t byte = in_.byte();
    room.value.struct_size = sizeof(T);
    if (byte == 255) return nullptr;
    if (byte == 254) room.value.struct_size = in_.byte();
    if (byte == 253) room.value.struct_size = std::numeric_limits<std::size_t>::max();
    if (byte == 252) room.value.struct_size = sizeof(T) + 8 * (in_.byte() % 8);
    if (byte == 251) {
      room.value.struct_size = sizeof(T) + 64;
      room.more[in_.byte() % 64] = 1;
    }
    // What is not there must not be said to be there: the room ends at 64 bytes behind the struct.
    if (room.value.struct_size > sizeof room && room.value.struct_size <= 4096)
      room.value.struct_size = sizeof room;
    return &room.value;
  }

  const elms_segment* segments(std::size_t& n) {
    n = in_.byte() % 5;
    auto& segments = kept_segments_.emplace_back(n);
    for (elms_segment& segment : segments) {
      segment.struct_size = in_.byte() == 255 ? 8 : sizeof segment;
      segment.text = in_.byte() == 255 ? nullptr : c_text();
      segment.text_bytes = segment.text == nullptr ? in_.byte() : kept_texts_.back().size();
      segment.role = integer() % 6;
      segment.compressible = in_.byte() & 1;
      segment.keep_ratio = in_.flag() ? real() : 0.0;
    }
    return in_.byte() == 255 ? nullptr : segments.data();
  }
  const elms_message* messages(std::size_t& n) {
    constexpr std::array<const char*, 4> kRoles = {"system", "user", "assistant", nullptr};
    n = in_.byte() % 4;
    auto& messages = kept_messages_.emplace_back(n);
    for (elms_message& message : messages) {
      message.struct_size = in_.byte() == 255 ? 1 : sizeof message;
      message.role = kRoles[in_.byte() % 16 == 15 ? 3 : in_.byte() % 3];
      message.content = segments(message.n_content);
    }
    return messages.data();
  }

  const elms_sampling* sampling() {
    auto& room = *kept_samplings_.emplace_back(std::make_unique<Roomy<elms_sampling>>());
    room.value.temperature = static_cast<float>(real());
    room.value.top_k = integer();
    room.value.top_p = static_cast<float>(real());
    room.value.min_p = static_cast<float>(real());
    room.value.repetition_penalty = static_cast<float>(real());
    room.value.repetition_window = integer();
    room.value.seed = in_.byte();
    return sized(room);
  }
  const elms_refine_options* refine_options() {
    auto& room = *kept_refines_.emplace_back(std::make_unique<Roomy<elms_refine_options>>());
    elms_refine_options& options = room.value;
    const std::uint8_t flags = in_.byte();
    if ((flags & 1) != 0) options.keep_ratio = real();
    if ((flags & 2) != 0) options.max_tokens = integer();
    if ((flags & 4) != 0) options.force_tokens = c_texts(options.n_force_tokens);
    if ((flags & 8) != 0) options.chunk_end_tokens = c_texts(options.n_chunk_end_tokens);
    options.keep_digits = flags & 16;
    options.drop_consecutive = flags & 32;
    options.strict_protection = flags & 64;
    options.protect_last_line = flags & 128;
    if (in_.flag()) {
      options.filter = in_.byte() % 5;
      for (std::int32_t* guard :
           {&options.markers, &options.json, &options.code, &options.urls, &options.numbers})
        *guard = in_.byte() % 6;
      options.filter_keep_ratio = real();
      options.without_special = in_.byte() & 1;
    }
    return sized(room);
  }

 private:
  FuzzReader& in_;
  std::deque<std::string> kept_texts_;
  std::deque<std::vector<const char*>> kept_arrays_;
  std::deque<std::vector<elms_segment>> kept_segments_;
  std::deque<std::vector<elms_message>> kept_messages_;
  std::deque<std::unique_ptr<Roomy<elms_sampling>>> kept_samplings_;
  std::deque<std::unique_ptr<Roomy<elms_refine_options>>> kept_refines_;
};

}  // namespace elms_test
