#include "cli/machine.hpp"

#include <cstring>

#include "elms/detail/cpu.hpp"
#include "support.hpp"

using namespace elms_cli;

TEST_CASE("machine: the loops of every instruction set that the CPU has run and are counted", "[cli]") {
  const auto all = runnable_peak_loops();
  REQUIRE_FALSE(all.empty());
  for (const PeakLoops* loops : all) {
    INFO(loops->isa);
    CHECK(find_peak_loops(loops->isa) == loops);
    CHECK(loops->int8(2) == 2 * loops->int8(1));
    CHECK(loops->f32(2) == 2 * loops->f32(1));
    CHECK(loops->f32(1) > 0.0);
  }
  CHECK(find_peak_loops("sse9") == nullptr);
  const elms_cpu_features cpu = elms::detail::detect_cpu_features();
  CHECK((find_peak_loops("avx2") != nullptr) == cpu.avx2_fma_f16c);
  CHECK((find_peak_loops("avx512vnni") != nullptr) == cpu.avx512_vnni);
  CHECK((find_peak_loops("i8mm") != nullptr) == cpu.neon_i8mm);
}

TEST_CASE("machine: each sample adds a value to every limit, of one thread and of all", "[cli]") {
  const auto pool = elms::ThreadPool::create(2);
  REQUIRE(pool.has_value());
  auto meter = LimitsMeter::create(**pool);
  REQUIRE(meter.has_value());
  for (std::size_t n : {1u, 2u}) {
    meter->sample();
    for (const Limit* limit : {&meter->read(), &meter->best().int8, &meter->best().f32}) {
      REQUIRE(limit->all.values.size() == n);
      REQUIRE(limit->one.values.size() == n);
      CHECK(limit->all.values.back() > 0.0);
      CHECK(limit->one.values.back() > 0.0);
    }
  }
  meter->sample_if_due();  // a moment after the last
  CHECK(meter->read().all.values.size() == 2);
  const bool other_than_avx2 = std::strcmp(meter->best().loops->isa, "avx2") != 0;
  CHECK((meter->maddubs() != nullptr) == (other_than_avx2 && find_peak_loops("avx2") != nullptr));
}

TEST_CASE("machine: samples have a median and a spread", "[cli]") {
  CHECK(Samples{{3.0, 1.0, 2.0}}.median() == 2.0);
  CHECK(Samples{{4.0, 1.0, 2.0, 3.0}}.median() == 2.5);
  CHECK(Samples{{3.0, 1.0, 2.0}}.spread() == 1.0);
  CHECK(Samples{{5.0}}.spread() == 0.0);
}
