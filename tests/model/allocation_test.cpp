// Switching width and decoding take no memory. This executable replaces operator new to count.
// GCC sees free() on memory from operator new and does not know that this operator new is malloc().
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
#include <atomic>
#include <cstdlib>
#include <new>

#include "elms/session.hpp"
#include "test_model.hpp"

namespace {
std::atomic<long> g_allocations{0};

void* counted(std::size_t size, std::size_t alignment) noexcept {
  ++g_allocations;
  if (alignment <= alignof(std::max_align_t)) return std::malloc(size == 0 ? 1 : size);
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}
}  // namespace

void* operator new(std::size_t size) {
  void* memory = counted(size, 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  void* memory = counted(size, static_cast<std::size_t>(alignment));
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return counted(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return counted(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

using namespace elms_test;

TEST_CASE("no allocation after a session is created: widths, prefill, decode, rewind", "[model][allocation]") {
  const auto model = open_model(write_model(small_shape(), elms::DType::kQ8_0, "allocation.gguf"), 2);
  auto session = elms::Session::create(model);
  REQUIRE_OK(session);
  const std::vector<elms::TokenId> prompt(20, 3);
  REQUIRE_OK(session->prefill(prompt));  // starts the threads of the pool
  session->reset();

  const std::uint8_t* weights = model->weights().layers[0].gate.panels.data();
  const long before = g_allocations.load();
  bool fine = session->prefill(prompt).ok();
  for (int i = 0; i < 40; ++i) {
    session->set_width(i % 2 == 0 ? 0.4 : 1.0);
    fine &= session->set_level(i % 3).ok();
    fine &= session->decode().has_value();
  }
  fine &= session->rewind(10).ok();
  fine &= session->prefill(prompt).ok();
  const long allocations = g_allocations.load() - before;
  CHECK(fine);
  CHECK(allocations == 0);
  CHECK(model->weights().layers[0].gate.panels.data() == weights);
}
