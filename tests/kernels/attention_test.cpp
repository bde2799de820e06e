// Attention against a plain one in double.
#include <cmath>
#include <cstring>
#include <limits>

#include "guarded_buffer.hpp"
#include "isa_cases.hpp"
#include "kernels/common.h"

using namespace elms_test;

namespace {

struct Shape {
  std::int32_t n_rows;
  std::int32_t n_heads;
  std::int32_t head_dim;
  std::int32_t first_position;
};

/// How a cache keeps its entries, and the kernels for it.
struct KvFormat {
  const char* name;
  void (*elms_kernel_table::*attention)(const elms_attention_args*);
  std::size_t (*entry_bytes)(std::int32_t head_dim);
  void (*store)(const float* x, std::int32_t n, void* entry);
  float (*value)(const std::uint8_t* entry, std::int32_t d);
};

constexpr KvFormat kFormats[] = {
    {"f16", &elms_kernel_table::attention,
     [](std::int32_t head_dim) { return 2 * static_cast<std::size_t>(head_dim); },
     [](const float* x, std::int32_t n, void* entry) {
       for (std::int32_t d = 0; d < n; ++d) static_cast<std::uint16_t*>(entry)[d] = elms_f16_of_f32(x[d]);
     },
     [](const std::uint8_t* entry, std::int32_t d) { return elms_f32_of_f16(elms_load_u16(entry + 2 * d)); }},
    {"q8", &elms_kernel_table::attention_q8, elms_kv_q8_bytes,
     [](const float* x, std::int32_t n, void* entry) {
       ::elms_test::runnable_table("scalar")->f32_to_kv_q8(x, n, entry);
     },
     [](const std::uint8_t* entry, std::int32_t d) {
       const std::uint8_t* block = entry + d / 32 * 34;
       return elms_f32_of_f16(elms_load_u16(block)) * static_cast<float>(static_cast<std::int8_t>(block[2 + d % 32]));
     }},
    {"f32", &elms_kernel_table::attention_f32,
     [](std::int32_t head_dim) { return 4 * static_cast<std::size_t>(head_dim); },
     [](const float* x, std::int32_t n, void* entry) { memcpy(entry, x, 4 * static_cast<std::size_t>(n)); },
     [](const std::uint8_t* entry, std::int32_t d) {
       float value;
       memcpy(&value, entry + 4 * d, sizeof value);
       return value;
     }},
};

/// Everything one call needs, in guarded memory. Rows of a head are further apart than they are long.
struct AttentionCase {
  AttentionCase(const elms_kernel_table& kernels, const KvFormat& kv, const Shape& s, std::mt19937& rng, float q_size = 1.0f)
      : format(kv),
        shape(s),
        n_positions(s.first_position + s.n_rows),
        q_head_stride(s.head_dim + 2),
        q_row_stride(s.n_heads * q_head_stride + 1),
        kv_stride(kv.entry_bytes(s.head_dim) + 6),
        q((s.n_rows - 1) * q_row_stride + (s.n_heads - 1) * q_head_stride + s.head_dim),
        out(q.size()),
        k((n_positions - 1) * kv_stride + kv.entry_bytes(s.head_dim)),
        v(k.size()),
        scratch(kernels.attention_scratch_floats(s.n_heads, s.head_dim, n_positions), 64) {
    std::normal_distribution<float> normal;
    for (std::size_t i = 0; i < q.size(); ++i) q[i] = q_size * normal(rng);
    std::vector<float> row(static_cast<std::size_t>(s.head_dim));
    for (auto* entries : {&k, &v}) {
      for (std::int32_t p = 0; p < n_positions; ++p) {
        for (float& value : row) value = normal(rng);
        store(*entries, p, row);
      }
    }
  }

  void store(GuardedBuffer<std::uint8_t>& entries, std::int32_t position, const std::vector<float>& row) {
    format.store(row.data(), shape.head_dim, entries.data() + position * kv_stride);
  }
  [[nodiscard]] double value(const GuardedBuffer<std::uint8_t>& entries, std::int32_t position, std::int32_t d) const {
    return static_cast<double>(format.value(entries.data() + position * kv_stride, d));
  }

  void run(const elms_kernel_table& kernels, const std::uint8_t* masked = nullptr) {
    elms_attention_args args{};
    args.q = q.data();
    args.q_row_stride = q_row_stride;
    args.q_head_stride = q_head_stride;
    args.k = k.data();
    args.v = v.data();
    args.kv_stride_bytes = kv_stride;
    args.n_rows = shape.n_rows;
    args.n_heads = shape.n_heads;
    args.head_dim = shape.head_dim;
    args.first_position = shape.first_position;
    args.scale = scale();
    args.masked = masked;
    args.out = out.data();
    args.out_row_stride = q_row_stride;
    args.out_head_stride = q_head_stride;
    args.scratch = scratch.data();
    (kernels.*format.attention)(&args);
  }

  [[nodiscard]] float scale() const { return 1.0f / std::sqrt(static_cast<float>(shape.head_dim)); }

  /// Output of one head of one row in double; `bound` is how far rounding may take a float result from it.
  std::vector<double> expected(std::int32_t row, std::int32_t head, const std::uint8_t* masked,
                               double* bound) const {
    const float* query = q.data() + row * q_row_stride + head * q_head_stride;
    const std::int32_t own = shape.first_position + row;
    std::vector<double> scores, sum(static_cast<std::size_t>(shape.head_dim), 0.0);
    double most = -1e300, most_magnitude = 0.0;
    for (std::int32_t p = 0; p <= own; ++p) {
      double score = 0.0, magnitude = 0.0;
      for (std::int32_t d = 0; d < shape.head_dim; ++d) {
        const double product = static_cast<double>(query[d]) * value(k, p, d);
        score += product;
        magnitude += std::fabs(product);
      }
      const bool seen = p == own || masked == nullptr || masked[p] == 0;
      scores.push_back(seen ? score * static_cast<double>(scale())
                            : -std::numeric_limits<double>::infinity());
      if (seen) most = std::max(most, scores.back());
      most_magnitude = std::max(most_magnitude, magnitude * static_cast<double>(scale()));
    }
    double total = 0.0, largest_value = 0.0;
    for (std::int32_t p = 0; p <= own; ++p) {
      const double weight = std::exp(scores[p] - most);
      total += weight;
      for (std::int32_t d = 0; d < shape.head_dim && weight > 0; ++d) {
        sum[d] += weight * value(v, p, d);
        largest_value = std::max(largest_value, std::fabs(value(v, p, d)));
      }
    }
    for (double& x : sum) x /= total;
    // A score's error scales its weight by as much; sums over positions add their own.
    const double epsilon = std::numeric_limits<float>::epsilon();
    *bound = epsilon * largest_value * ((shape.head_dim + 4) * most_magnitude + own + 16);
    return sum;
  }

  void require_right(const std::uint8_t* masked = nullptr) const {
    for (std::int32_t row = 0; row < shape.n_rows; ++row) {
      for (std::int32_t head = 0; head < shape.n_heads; ++head) {
        double bound = 0.0;
        const std::vector<double> want = expected(row, head, masked, &bound);
        const float* got = out.data() + row * q_row_stride + head * q_head_stride;
        for (std::int32_t d = 0; d < shape.head_dim; ++d) {
          if (!(std::fabs(got[d] - want[d]) <= bound)) {
            FAIL("row " << row << " head " << head << " dim " << d << ": " << got[d] << ", not " << want[d]
                        << " +- " << bound);
          }
        }
        for (std::int32_t d = shape.head_dim;
             head + 1 < shape.n_heads && d < static_cast<std::int32_t>(q_head_stride); ++d) {
          REQUIRE(elms_bits_of_f32(got[d]) == 0xffffffffu);  // between heads nothing is written
        }
      }
    }
    REQUIRE((out.intact() && scratch.intact()));
  }

  const KvFormat& format;
  Shape shape;
  std::int32_t n_positions;
  std::size_t q_head_stride;
  std::size_t q_row_stride;
  std::size_t kv_stride;  ///< bytes
  GuardedBuffer<float> q;
  GuardedBuffer<float> out;
  GuardedBuffer<std::uint8_t> k;
  GuardedBuffer<std::uint8_t> v;
  GuardedBuffer<float> scratch;
};

}  // namespace

ELMS_KERNEL_CASE(attention_dims, "attention is right for any head dimension", "[kernels][attention]") {
  auto rng = make_rng(60);
  for (const std::int32_t head_dim : {1, 2, 7, 8, 9, 16, 20, 40, 64, 80, 96, 128, 256}) {
    for (const Shape& shape :
         {Shape{1, 2, head_dim, 40}, Shape{5, 3, head_dim, 0}, Shape{3, 1, head_dim, 31}}) {
      for (const KvFormat& format : kFormats) {
        INFO(format.name << " head_dim " << head_dim << " rows " << shape.n_rows);
        AttentionCase c(kernels, format, shape, rng);
        c.run(kernels);
        c.require_right();
      }
    }
  }
}

ELMS_KERNEL_CASE(attention_rows, "attention is right for any number of rows, heads and positions",
                 "[kernels][attention]") {
  auto rng = make_rng(61);
  for (const Shape& shape :
       {Shape{1, 1, 16, 0}, Shape{1, 8, 16, 0}, Shape{1, 71, 16, 5}, Shape{64, 1, 8, 0}, Shape{33, 4, 8, 7},
        Shape{17, 8, 8, 100}, Shape{1, 4, 32, 300}, Shape{2, 7, 24, 63}}) {
    for (const KvFormat& format : kFormats) {
      INFO(format.name << " rows " << shape.n_rows << " heads " << shape.n_heads << " first " << shape.first_position);
      AttentionCase c(kernels, format, shape, rng);
      c.run(kernels);
      c.require_right();
    }
  }
}

ELMS_KERNEL_CASE(attention_masks, "attention leaves masked positions out, never a row's own",
                 "[kernels][attention]") {
  auto rng = make_rng(62);
  for (const KvFormat& format : kFormats) {
    for (const int every : {1, 2, 7, 64}) {  // positions kept: none, every other, all but every 7th, almost all
      for (const Shape& shape : {Shape{1, 2, 16, 90}, Shape{6, 3, 16, 70}, Shape{40, 1, 8, 0}}) {
        AttentionCase c(kernels, format, shape, rng);
        std::vector<std::uint8_t> masked(static_cast<std::size_t>(c.n_positions), 0);
        for (std::size_t p = 0; p < masked.size(); p += every) masked[p] = 1;
        const auto fill_masked = [&](int byte) {
          for (std::int32_t p = 0; p < shape.first_position; ++p) {
            if (masked[p] == 0) continue;
            std::memset(c.k.data() + p * c.kv_stride, byte, format.entry_bytes(shape.head_dim));
            std::memset(c.v.data() + p * c.kv_stride, byte, format.entry_bytes(shape.head_dim));
          }
        };
        INFO(format.name << " every " << every << " rows " << shape.n_rows);
        fill_masked(0xff);  // a missing entry of the cache holds anything: here NaN
        c.run(kernels, masked.data());
        fill_masked(0);
        c.require_right(masked.data());
      }
    }
  }
}

ELMS_KERNEL_CASE(attention_sharp, "attention is stable for scores of any size", "[kernels][attention]") {
  auto rng = make_rng(63);
  for (const float q_size : {0.0f, 1e-20f, 30.0f, 3000.0f}) {
    for (const KvFormat& format : kFormats) {
      AttentionCase c(kernels, format, {3, 2, 16, 80}, rng, q_size);
      c.run(kernels);
      INFO(format.name << " q size " << q_size);
      for (std::int32_t i = 0; i < 3 * 2; ++i) {
        const float* got = c.out.data() + i / 2 * c.q_row_stride + i % 2 * c.q_head_stride;
        for (int d = 0; d < 16; ++d) REQUIRE(std::isfinite(got[d]));
      }
      if (q_size < 100.0f) c.require_right();
    }
  }
}

ELMS_KERNEL_CASE(attention_increasing, "attention is right when every position raises the maximum",
                 "[kernels][attention]") {
  auto rng = make_rng(64);
  for (const KvFormat& format : kFormats) {
    AttentionCase c(kernels, format, {2, 1, 8, 130}, rng);
    for (std::size_t i = 0; i < c.q.size(); ++i) c.q[i] = 1.0f;
    for (std::int32_t p = 0; p < c.n_positions; ++p) {
      c.store(c.k, p, std::vector<float>(8, 0.0625f * static_cast<float>(p)));
    }
    c.run(kernels);
    c.require_right();
  }
}

ELMS_KERNEL_CASE(attention_nan, "attention does not hide NaN", "[kernels][attention]") {
  auto rng = make_rng(65);
  for (const KvFormat& format : kFormats) {
    AttentionCase c(kernels, format, {1, 2, 16, 70}, rng);
    c.q[3] = std::numeric_limits<float>::quiet_NaN();  // head 0
    c.run(kernels);
    for (int d = 0; d < 16; ++d) {
      CHECK(std::isnan(c.out[d]));
      CHECK(std::isfinite(c.out[c.q_head_stride + d]));
    }
    std::vector<float> row(16, 1.0f);
    row[5] = std::numeric_limits<float>::infinity();
    AttentionCase broken(kernels, format, {1, 1, 16, 70}, rng);
    broken.store(broken.v, 20, row);
    broken.run(kernels);
    CHECK_FALSE(std::isfinite(broken.out[5]));
  }
}

ELMS_KERNEL_CASE(kv_q8_entries, "an int8 entry keeps values within half a step, and writes no more than its bytes",
                 "[kernels][attention]") {
  auto rng = make_rng(66);
  std::normal_distribution<float> normal;
  for (const std::int32_t n : {1, 8, 31, 32, 33, 64, 80, 128}) {
    std::vector<float> x(static_cast<std::size_t>(n));
    for (float& value : x) value = normal(rng);
    GuardedBuffer<std::uint8_t> entry(elms_kv_q8_bytes(n)), reference(entry.size());
    kernels.f32_to_kv_q8(x.data(), n, entry.data());
    kFormats[1].store(x.data(), n, reference.data());
    REQUIRE(entry.intact());
    CHECK(std::memcmp(entry.data(), reference.data(), entry.size()) == 0);
    for (std::int32_t d = 0; d < n; ++d) {
      float largest = 0.0f;
      for (std::int32_t i = d / 32 * 32; i < std::min(n, d / 32 * 32 + 32); ++i) largest = std::max(largest, std::fabs(x[i]));
      const float step = largest / 127.0f;
      CHECK(std::fabs(kFormats[1].value(entry.data(), d) - x[d]) <= 0.5f * step + largest / 1024.0f);  // the scale is an f16
    }
  }
}
