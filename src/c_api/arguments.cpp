#include "c_api/arguments.hpp"

namespace elms::inline v0::detail {

static_assert(static_cast<int>(StatusCode::kUnavailable) == ELMS_UNAVAILABLE, "codes of elms.h are those of StatusCode");

elms_code report(const Status& status, elms_error* out) noexcept {
  const auto code = static_cast<elms_code>(status.code());
  if (out == nullptr) return code;
  out->code = code;
  copy_cut(status.message(), out->message);
  return code;
}

void copy_cut(std::string_view text, std::span<char> room) noexcept {
  std::size_t n = std::min(text.size(), room.size() - 1);
  if (n < text.size()) {
    const auto continues = [&](std::size_t i) { return (static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80U; };
    while (n > 0 && continues(n)) --n;
  }
  std::memcpy(room.data(), text.data(), n);
  room[n] = '\0';
}

}  // namespace elms::inline v0::detail

extern "C" {

const char* elms_code_name(elms_code code) {
  return elms::to_string(static_cast<elms::StatusCode>(code));
}

const char* elms_version(void) { return ELMS_VERSION; }

elms_cancel* elms_cancel_create(void) { return new (std::nothrow) elms_cancel; }
void elms_cancel_set(elms_cancel* cancel) {
  if (cancel != nullptr) cancel->token.cancel();
}
void elms_cancel_reset(elms_cancel* cancel) {
  if (cancel != nullptr) cancel->token.reset();
}
void elms_cancel_free(elms_cancel* cancel) { delete cancel; }

}  // extern "C"
