#include "elms/detail/buffer.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "support.hpp"

namespace {

using elms::Result;
using elms::StatusCode;
using elms::detail::Buffer;
using elms::detail::kBufferAlignment;

TEST_CASE("buffer is aligned to a cache line at every size", "[core][buffer]") {
  for (std::size_t n = 1; n < 300; ++n) {
    Result<Buffer<std::uint8_t>> buffer = Buffer<std::uint8_t>::uninitialized(n);
    REQUIRE_OK(buffer);
    REQUIRE(reinterpret_cast<std::uintptr_t>(buffer->data()) % kBufferAlignment == 0);
    REQUIRE(buffer->size() == n);
    std::fill_n(buffer->data(), n, std::uint8_t{1});  // a sanitizer sees a size that is too small
  }
}

TEST_CASE("buffer zeroed is zero", "[core][buffer]") {
  for (const std::size_t n : {std::size_t{1}, std::size_t{1000}, std::size_t{100000}}) {
    {
      Result<Buffer<float>> dirty = Buffer<float>::uninitialized(n);
      REQUIRE_OK(dirty);
      std::fill_n(dirty->data(), n, 1.0f);
    }
    const Result<Buffer<float>> buffer = Buffer<float>::zeroed(n);
    REQUIRE_OK(buffer);
    const std::span<const float> values = *buffer;
    CHECK(values.size() == n);
    CHECK(buffer->size_bytes() == n * sizeof(float));
    CHECK(std::all_of(values.begin(), values.end(), [](float x) { return x == 0.0f; }));
  }
}

TEST_CASE("buffer of no elements is empty and no error", "[core][buffer]") {
  const Result<Buffer<int>> uninitialized = Buffer<int>::uninitialized(0);
  REQUIRE_OK(uninitialized);
  CHECK(uninitialized->empty());
  CHECK(uninitialized->data() == nullptr);
  REQUIRE_OK(Buffer<int>::zeroed(0));
}

TEST_CASE("buffer that memory cannot hold is an error that names the size", "[core][buffer]") {
  constexpr std::size_t kMax = std::numeric_limits<std::size_t>::max();
  // The last two overflow when multiplied by the element size: to a small number, and to zero.
  for (const std::size_t n : {kMax / 16, kMax / 8 + 2, kMax / 8 + 1, kMax}) {
    const Result<Buffer<double>> buffer = Buffer<double>::uninitialized(n);
    REQUIRE_FALSE(buffer.has_value());
    CHECK(buffer.error().code() == StatusCode::kOutOfMemory);
    CHECK(buffer.error().message().find(std::to_string(n)) != std::string::npos);
    CHECK_FALSE(Buffer<double>::zeroed(n).has_value());
  }
}

TEST_CASE("buffer moves without copying", "[core][buffer]") {
  Result<Buffer<int>> source = Buffer<int>::zeroed(10);
  REQUIRE_OK(source);
  (*source)[3] = 42;
  const int* address = source->data();

  Buffer<int> target(std::move(*source));
  CHECK(target.data() == address);
  CHECK(target[3] == 42);
  CHECK(source->empty());

  Result<Buffer<int>> other = Buffer<int>::zeroed(5);
  REQUIRE_OK(other);
  *other = std::move(target);
  CHECK(other->data() == address);
  CHECK(other->size() == 10);
}

}  // namespace

TEST_CASE("buffer: streamed memory is aligned to huge pages where it is large enough for one", "[core][buffer]") {
  using elms::detail::kHugePageBytes;
  auto small = Buffer<std::uint8_t>::uninitialized_streamed(kHugePageBytes - 1);
  REQUIRE_OK(small);
  for (const std::size_t size : {kHugePageBytes, 2 * kHugePageBytes + 3}) {
    auto buffer = Buffer<std::uint8_t>::uninitialized_streamed(size);
    REQUIRE_OK(buffer);
    CHECK(buffer->size() == size);
    CHECK(reinterpret_cast<std::uintptr_t>(buffer->data()) % kHugePageBytes == 0);
    std::memset(buffer->data(), 1, size);
    *small = std::move(*buffer);  // of another alignment: each is freed as it was allocated
    CHECK((*small)[size - 1] == 1);
  }
}
