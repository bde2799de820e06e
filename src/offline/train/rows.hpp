// Sums and exponentials of rows: floats go through the kernels, doubles through plain loops.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>

#include "offline/train/kernels.hpp"

namespace elms::inline v0::offline::train {

inline constexpr std::size_t kRowChunk =
    1024;  ///< values whose exponentials are added up in T, before double

/// Calls fn(begin, size) for chunks of [0, n).
template <typename Fn>
void for_row_chunks(std::size_t n, Fn&& fn) {
  for (std::size_t begin = 0; begin < n; begin += kRowChunk) fn(begin, std::min(kRowChunk, n - begin));
}

/// sum(a * b) in a fixed order. Sums of 8 lanes, which compilers can vectorise as they stand.
template <typename T>
T dot(const T* a, const T* b, std::size_t n) {
  T lanes[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (std::size_t l = 0; l < 8; ++l) lanes[l] += a[i + l] * b[i + l];
  }
  T sum = ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// sum(a * b * c), likewise.
template <typename T>
T dot(const T* a, const T* b, const T* c, std::size_t n) {
  T lanes[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (std::size_t l = 0; l < 8; ++l) lanes[l] += a[i + l] * b[i + l] * c[i + l];
  }
  T sum = ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
  for (; i < n; ++i) sum += a[i] * b[i] * c[i];
  return sum;
}

template <typename T>
T largest(const T* row, std::size_t n) {
  if constexpr (std::is_same_v<T, float>) {
    return training_kernels().max(row, static_cast<int32_t>(n));
  } else {
    return *std::max_element(row, row + n);
  }
}

/// out = exp(scale * (row - shift)) for exponents up to 88; returns the sum. out may be row. n <= kRowChunk.
template <typename T>
T exp_sum(const T* row, std::size_t n, T shift, T scale, T* out) {
  if constexpr (std::is_same_v<T, float>) {
    return training_kernels().exp_sum(row, static_cast<int32_t>(n), shift, scale, out);
  } else {
    T sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += out[i] = std::exp(scale * (row[i] - shift));
    return sum;
  }
}

}  // namespace elms::inline v0::offline::train
