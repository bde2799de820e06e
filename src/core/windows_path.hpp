// Paths in elms are UTF-8; Windows wants UTF-16. Included by the Windows branch of files only.
#pragma once

#include <string>

#include "core/windows_header.hpp"

namespace elms::inline v0::detail {

inline std::wstring to_wide(const std::string& path) {
  const int length =
      ::MultiByteToWideChar(CP_UTF8, 0, path.data(), static_cast<int>(path.size()), nullptr, 0);
  std::wstring wide(static_cast<std::size_t>(length), L'\0');
  ::MultiByteToWideChar(CP_UTF8, 0, path.data(), static_cast<int>(path.size()), wide.data(), length);
  return wide;
}

}  // namespace elms::inline v0::detail
