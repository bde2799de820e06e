#include "elms/detail/cpu.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <thread>

#include "support.hpp"

namespace {

using elms::detail::select_kernels;

/// Sets $ELMS_ISA for one scope; null removes it.
class ForcedIsa {
 public:
  explicit ForcedIsa(const char* isa) {
    const char* before = std::getenv("ELMS_ISA");
    had_value_ = before != nullptr;
    if (had_value_) before_ = before;
    set(isa);
  }
  ~ForcedIsa() { set(had_value_ ? before_.c_str() : nullptr); }
  ForcedIsa(const ForcedIsa&) = delete;
  ForcedIsa& operator=(const ForcedIsa&) = delete;

 private:
  static void set(const char* isa) {
    if (isa == nullptr) {
      ::unsetenv("ELMS_ISA");
    } else {
      ::setenv("ELMS_ISA", isa, 1);
    }
  }

  bool had_value_ = false;
  std::string before_;
};

TEST_CASE("cpu counts between one and all cores as fast", "[core][cpu]") {
  const std::size_t n_fast = elms::detail::count_fast_cores();
  CHECK(n_fast >= 1);
  CHECK(n_fast <= std::max(1u, std::thread::hardware_concurrency()));
}

TEST_CASE("cpu features imply each other as the architectures do", "[core][cpu]") {
  const elms_cpu_features features = elms::detail::detect_cpu_features();
#if defined(__aarch64__)
  CHECK(features.neon);
  CHECK_FALSE(features.avx2_fma_f16c);
#else
  CHECK_FALSE(features.neon);
#endif
  if (features.neon_i8mm) CHECK(features.neon_dotprod);
  if (features.neon_dotprod) CHECK(features.neon);
  if (features.avx512_vnni) CHECK(features.avx2_fma_f16c);
}

TEST_CASE("cpu selects the best kernels that run here", "[core][cpu]") {
  const ForcedIsa none(nullptr);
  const auto table = select_kernels();
  REQUIRE_OK(table);
  const elms_cpu_features features = elms::detail::detect_cpu_features();
  std::size_t n_tables = 0;
  const elms_kernel_table* const* tables = elms_kernel_tables(&n_tables);
  REQUIRE(n_tables >= 1);
  const elms_kernel_table* best = nullptr;  // best last
  for (std::size_t i = 0; i < n_tables; ++i) {
    if (elms_kernel_table_runs_on(tables[i], &features)) best = tables[i];
  }
  CHECK(*table == best);
}

TEST_CASE("cpu selects the kernels that ELMS_ISA names", "[core][cpu]") {
  const elms_cpu_features features = elms::detail::detect_cpu_features();
  std::size_t n_tables = 0;
  const elms_kernel_table* const* tables = elms_kernel_tables(&n_tables);
  for (std::size_t i = 0; i < n_tables; ++i) {
    CAPTURE(tables[i]->isa);
    const ForcedIsa forced(tables[i]->isa);
    const auto table = select_kernels();
    if (elms_kernel_table_runs_on(tables[i], &features)) {
      REQUIRE_OK(table);
      CHECK(*table == tables[i]);
    } else {
      REQUIRE_FALSE(table.has_value());
      CHECK(table.error().code() == elms::StatusCode::kUnsupported);
    }
  }
}

TEST_CASE("cpu refuses an unknown ELMS_ISA and says what runs", "[core][cpu]") {
  const ForcedIsa forced("sse9");
  const auto table = select_kernels();
  REQUIRE_FALSE(table.has_value());
  CHECK(table.error().code() == elms::StatusCode::kUnsupported);
  CHECK(table.error().message().find("sse9") != std::string::npos);
  CHECK(table.error().message().find("scalar") != std::string::npos);
}

TEST_CASE("cpu takes an empty ELMS_ISA for none", "[core][cpu]") {
  const ForcedIsa forced("");
  REQUIRE_OK(select_kernels());
}

}  // namespace
