// Running out of memory as a Status, also where a container of the standard library needed it.
#pragma once

#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "elms/status.hpp"

namespace elms::inline v0::detail {

/// Calls f, which returns a Status or a Result. Where containers report by an exception that there is no memory, that
/// becomes kOutOfMemory; what f had begun must then be undone by destructors. Public functions that fail with a Status
/// are wrapped in this, once, where they are entered. Host code built without exceptions has none to catch: there only
/// a detail::Buffer can fail, which holds whatever is large.
template <typename F>
auto or_out_of_memory(F&& f) -> std::invoke_result_t<F> {
#if defined(__cpp_exceptions)
  try {
    return std::forward<F>(f)();
  } catch (const std::bad_alloc&) {
  } catch (const std::length_error&) {  // more than a container can ever hold
  }
  return Status(StatusCode::kOutOfMemory, "out of memory");  // short enough to need no memory itself
#else
  return std::forward<F>(f)();
#endif
}

}  // namespace elms::inline v0::detail
