// Weights out of a pack cache instead of the checkpoint: what identifies a cache, and the provider that maps it.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "elms/detail/content_hash.hpp"
#include "elms/detail/pack_file.hpp"
#include "elms/detail/weight_provider.hpp"

namespace elms::inline v0::detail {

/// What a cache for this checkpoint and these kernels must have been made from. Only GGUF files have one.
[[nodiscard]] inline PackOrigin pack_origin(const GgufFile& file, const elms_kernel_table& kernels) {
  PackOrigin origin;
  origin.file_bytes = file.file_bytes();
  origin.modified_ns = file.modified_ns();
  origin.fingerprint = ContentHash().add(file.header_bytes()).value();
  origin.tag = kernels.isa;
  for (const elms_gemm_kernel* kernel : kernels.gemm) origin.tag += std::string(" ") + kernel->name;
  return origin;
}

/// Fingerprints of how values lie in panels and vectors, for one table of kernels.
class PackLayouts {
 public:
  /// kOutOfMemory.
  [[nodiscard]] static Result<PackLayouts> create(const elms_kernel_table& kernels) {
    PackLayouts layouts;
    for (std::size_t format = 0; format < ELMS_WEIGHT_FORMAT_COUNT; ++format) {
      ELMS_ASSIGN_OR_RETURN(layouts.of_format_[format], probe(*kernels.gemm[format]));
    }
    return layouts;
  }

  [[nodiscard]] std::uint64_t of(const PackedMatrix& matrix, const GroupOrder& rows, const GroupOrder& columns) const noexcept {
    ContentHash hash;
    hash.add(of_format_[matrix.kernel->format]).add(static_cast<std::uint64_t>(matrix.storage)).add(static_cast<std::uint64_t>(matrix.panel_group));
    hash.add(static_cast<std::uint64_t>(matrix.rows)).add(static_cast<std::uint64_t>(matrix.cols));
    return add_order(add_order(hash, rows), columns).value();
  }
  [[nodiscard]] static std::uint64_t of_vector(const SourceTensor& tensor, const GroupOrder& order) noexcept {
    ContentHash hash;
    hash.add(tensor.cols);
    return add_order(hash, order).value();
  }

 private:
  /// Packs a panel of known values: a kernel whose layout changed gives other bytes, whatever its name is.
  [[nodiscard]] static Result<std::uint64_t> probe(const elms_gemm_kernel& kernel) {
    constexpr std::int32_t kCols = 160;  // five blocks: kernels may pair them
    const auto nr = static_cast<std::size_t>(kernel.nr);
    static constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0};
    const DType type = kTypes[kernel.format];
    const std::size_t stored = row_bytes(type, kCols);
    const std::size_t panel_bytes = static_cast<std::size_t>(kCols / kernel.block_k) * kernel.block_bytes;
    ELMS_ASSIGN_OR_RETURN(auto rows, Buffer<std::uint8_t>::uninitialized(nr * stored));
    ELMS_ASSIGN_OR_RETURN(auto pointers, Buffer<const void*>::uninitialized(nr));
    ELMS_ASSIGN_OR_RETURN(auto panel, Buffer<std::uint8_t>::zeroed(panel_bytes));
    std::array<float, kCols> values;
    for (std::size_t r = 0; r < nr; ++r) {
      for (std::size_t c = 0; c < values.size(); ++c) {
        values[c] = static_cast<float>((r * 131 + c * 37 + r * c * 11) % 255) / 64.0f - 2.0f;
      }
      encode_row(type, values.data(), values.size(), rows.data() + r * stored);
      pointers[r] = rows.data() + r * stored;
    }
    const elms_pack_args args{pointers.data(), kCols, panel.data(), 0};
    kernel.pack(&args);
    return ContentHash().add(std::string_view(kernel.name)).add(std::span<const std::uint8_t>(panel)).value();
  }

  static ContentHash& add_order(ContentHash& hash, const GroupOrder& order) noexcept {
    hash.add(static_cast<std::uint64_t>(order.group_size)).add(std::uint64_t{order.order.size()});
    for (const std::int32_t group : order.order) hash.add(static_cast<std::uint64_t>(group));
    return hash;
  }

  std::array<std::uint64_t, ELMS_WEIGHT_FORMAT_COUNT> of_format_{};
};

/// Weights that lie in a pack cache: matrices are used where they are, vectors are copied. The file must outlive them.
class CachedWeights final : public WeightProvider {
 public:
  CachedWeights(const PackFile& file, const elms_kernel_table& kernels, const PackLayouts& layouts)
      : file_(file), kernels_(kernels), layouts_(layouts) {}

  Result<PackedMatrix> matrix(const SourceTensor& tensor, const GroupOrder& rows, const GroupOrder& columns) override {
    PackedMatrix matrix = describe_matrix(tensor, kernels_);
    ELMS_ASSIGN_OR_RETURN(matrix.panels, find(tensor, layouts_.of(matrix, rows, columns), matrix.packed_bytes()));
    return matrix;
  }

  Result<Vector> vector(const SourceTensor& tensor, const GroupOrder& order) override {
    const auto n = static_cast<std::size_t>(tensor.cols);
    ELMS_ASSIGN_OR_RETURN(const auto bytes, find(tensor, PackLayouts::of_vector(tensor, order), n * sizeof(float)));
    ELMS_ASSIGN_OR_RETURN(Vector values, Vector::uninitialized(n));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

 private:
  Result<std::span<const std::uint8_t>> find(const SourceTensor& tensor, std::uint64_t layout, std::size_t size) const {
    const PackEntry* entry = file_.find(tensor.name);
    if (entry == nullptr) return malformed(file_.path(), ": has no ", tensor.name);
    if (entry->layout != layout || entry->bytes.size() != size) {
      return malformed(file_.path(), ": ", tensor.name, " is laid out in another way, in ", entry->bytes.size(),
                       " bytes where ", size, " are expected");
    }
    return entry->bytes;
  }

  const PackFile& file_;
  const elms_kernel_table& kernels_;
  const PackLayouts& layouts_;
};

}  // namespace elms::inline v0::detail
