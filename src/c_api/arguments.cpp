#include "c_api/arguments.hpp"

#include <algorithm>

namespace elms::inline v0::detail {

static_assert(static_cast<int>(StatusCode::kUnavailable) == ELMS_UNAVAILABLE, "codes of elms.h are those of StatusCode");

elms_code report(const Status& status, elms_error* out) noexcept {
  const auto code = static_cast<elms_code>(status.code());
  if (out == nullptr) return code;
  out->code = code;
  const std::string& message = status.message();
  std::size_t n = std::min(message.size(), sizeof out->message - 1);
  if (n < message.size()) {
    const auto continues = [&](std::size_t i) { return (static_cast<unsigned char>(message[i]) & 0xC0U) == 0x80U; };
    while (n > 0 && continues(n)) --n;
  }
  std::memcpy(out->message, message.data(), n);
  out->message[n] = '\0';
  return code;
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
