// Damaged GGUF models, adapters and pack caches.
#include <cstring>
#include <filesystem>

#include "elms/detail/gguf.hpp"
#include "elms/detail/pack_cache.hpp"
#include "elms/detail/pack_file.hpp"
#include "elms/pack.hpp"
#include "small_elastic_model.hpp"
#include "support.hpp"
#include "sweeps.hpp"

using namespace elms_test;
using elms::detail::GgufFile;

namespace {

struct Header {
  std::size_t size = 0;  ///< everything before the data of the first tensor
  ByteRanges inert;      ///< values of `keys`, and the padding at its end
};

Header header_of(const std::string& path, std::initializer_list<std::string_view> keys) {
  const auto file = GgufFile::open(path);
  REQUIRE_OK(file);
  Header header{file->header_bytes().size(), {}};
  for (const std::string_view key : keys) {
    const elms::detail::GgufValue* value = file->find(key);
    REQUIRE(value != nullptr);
    const auto begin = static_cast<std::size_t>(file->offset_of(value->bytes.data()));
    header.inert.emplace_back(begin, begin + value->bytes.size());
  }
  const elms::detail::GgufTensor& last = file->tensors().back();
  const std::size_t table_end =
      file->offset_of(last.name.data()) + last.name.size() + 4 + 8 * last.n_dims + 4 + 8;
  REQUIRE(table_end <= header.size);
  header.inert.emplace_back(table_end, header.size);
  return header;
}

std::shared_ptr<elms::ThreadPool> one_thread() {
  auto pool = elms::ThreadPool::create(1);
  REQUIRE_OK(pool);
  return *pool;
}

}  // namespace

TEST_CASE("damage: an elastic model", "[damage]") {
  const std::string path = write_small_elastic_model("small.gguf", "small.lora.gguf");
  const auto pool = one_thread();
  const Use use = [&] { return use_model(path, pool); };
  const Header header =
      header_of(path, {"general.name", "elms.importance.method", "elms.importance.query_heads",
                       "elms.importance.ffn_units", "elms.levels.cost_share", "elms.quality.source"});
  SECTION("cut short") {
    sweep_truncations(path, use);
  }
  SECTION("flipped") {
    sweep_flips(path, {{0, header.size}}, use, {.inert = header.inert});
  }
}

TEST_CASE("damage: an adapter", "[damage]") {
  const std::string path = write_small_elastic_model("adapted.gguf", "adapted.lora.gguf");
  const std::string adapter = scratch_path("adapted.lora.gguf");
  const auto pool = one_thread();
  const Use use = [&] { return use_model(path, pool); };
  const Header header = header_of(adapter, {"general.name"});
  SECTION("cut short") {
    sweep_truncations(adapter, use);
  }
  SECTION("flipped") {
    sweep_flips(adapter, {{0, header.size}}, use, {.inert = header.inert});
  }
}

TEST_CASE("damage: a pack cache is done without", "[damage]") {
  const std::string path = write_small_elastic_model("packed.gguf", ""), cache = scratch_path("packed.cache");
  const auto pool = one_thread();
  elms::PackOptions options;
  options.pool = pool;
  REQUIRE_OK(elms::pack_model(path, cache, options));
  const Use use = [&] { return use_model(path, pool, cache); };
  std::uint64_t index_bytes = 0;
  std::memcpy(&index_bytes, read_bytes(cache).data() + 24, sizeof index_bytes);
  REQUIRE(index_bytes <= std::filesystem::file_size(cache));
  SECTION("cut short: no cut is taken for a cache") {
    const auto file = GgufFile::open(path);
    REQUIRE_OK(file);
    const auto kernels = elms::detail::select_kernels();
    REQUIRE_OK(kernels);
    const elms::detail::PackOrigin origin = elms::detail::pack_origin(*file, **kernels);
    sweep_truncations(cache, [&]() -> elms::Result<std::string> {
      ELMS_ASSIGN_OR_RETURN(const auto opened, elms::detail::PackFile::open(cache, origin));
      return opened.path();
    });
  }
  SECTION("cut short: the model opens without") {
    sweep_truncations(cache, use, {.always_same = true, .step = 61});
  }
  SECTION("flipped") {
    sweep_flips(cache, {{0, static_cast<std::size_t>(index_bytes)}}, use, {.always_same = true});
  }
}
