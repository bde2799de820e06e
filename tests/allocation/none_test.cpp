// Switching width and decoding take no memory.
#include "allocations.hpp"
#include "elms/session.hpp"
#include "test_model.hpp"

using namespace elms_test;

TEST_CASE("no allocation after a session is created: widths, prefill, decode, rewind", "[model][allocation]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kQ8_0, "allocation.gguf"), 2);
  auto session = elms::Session::create(model);
  REQUIRE_OK(session);
  const std::vector<elms::TokenId> prompt(20, 3);
  REQUIRE_OK(session->prefill(prompt));  // starts the threads of the pool
  session->reset();

  const std::uint8_t* weights = model->weights().layers[0].gate.panels.data();
  const AllocationCounter counter;
  bool fine = session->prefill(prompt).ok();
  for (int i = 0; i < 40; ++i) {
    session->set_width(i % 2 == 0 ? 0.4 : 1.0);
    fine &= session->set_level(i % 3).ok();
    fine &= session->decode().has_value();
  }
  fine &= session->rewind(10).ok();
  fine &= session->prefill(prompt).ok();
  const long allocations = counter.count();
  CHECK(fine);
  CHECK(allocations == 0);
  CHECK(model->weights().layers[0].gate.panels.data() == weights);
}
