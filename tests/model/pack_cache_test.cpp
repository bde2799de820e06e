#include "elms/pack.hpp"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "elms/detail/content_hash.hpp"
#include "elms/session.hpp"
#include "test_model.hpp"

using namespace elms_test;
namespace fs = std::filesystem;

namespace {

struct Opened {
  std::shared_ptr<const elms::ElasticModel> model;
  std::string warnings;
};

Opened open_logged(const std::string& path, const std::string& cache = {}, bool use = true) {
  Opened opened;
  elms::OpenOptions options;
  options.pool = make_pool(1);
  options.pack_cache = cache;
  options.use_pack_cache = use;
  options.log = [&](elms::LogLevel level, std::string_view text) {
    if (level == elms::LogLevel::kWarning) opened.warnings += std::string(text) + "\n";
  };
  auto model = elms::ElasticModel::open(path, options);
  REQUIRE_OK(model);
  opened.model = *model;
  return opened;
}

/// At the narrowest level and at full width.
std::vector<float> logits_of(std::shared_ptr<const elms::ElasticModel> model) {
  std::vector<float> all;
  auto session = elms::Session::create(std::move(model), {.context_tokens = 32});
  REQUIRE_OK(session);
  for (double width : {0.01, 1.0}) {
    session->reset();
    session->set_width(width);
    REQUIRE_OK(session->prefill(std::vector<elms::TokenId>{1, 17, 33, 5, 80}));
    const auto logits = session->logits();
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

elms::PackReport pack(const std::string& model, const std::string& output = {}) {
  elms::PackOptions options;
  options.pool = make_pool(1);
  auto report = elms::pack_model(model, output, options);
  REQUIRE_OK(report);
  return *report;
}

constexpr std::size_t kChecksumAt = 56;

/// Bytes that the checksum covers.
std::size_t index_bytes(const std::vector<std::uint8_t>& file) {
  std::uint64_t n = 0;
  std::memcpy(&n, file.data() + 24, sizeof n);
  return static_cast<std::size_t>(n);
}

/// As a writer that lies would do it.
void fix_checksum(std::vector<std::uint8_t>& file) {
  const std::size_t n = index_bytes(file);
  if (n < 64 || n > file.size()) return;
  const std::span<const std::uint8_t> index(file.data(), n);
  const std::uint64_t sum = elms::detail::ContentHash().add(index.first(kChecksumAt)).add(index.subspan(64)).value();
  std::memcpy(file.data() + kChecksumAt, &sum, sizeof sum);
}

}  // namespace

TEST_CASE("pack_cache: a packed model gives the same logits to the bit, and is one copy", "[model][pack]") {
  for (elms::DType type : {elms::DType::kF32, elms::DType::kF16, elms::DType::kQ8_0, elms::DType::kQ4_0}) {
    for (const char* architecture : {"llama", "qwen2"}) {  // qwen2 has biases, whose heads are moved too
      CAPTURE(static_cast<int>(type), architecture);
      const std::string path = write_model(small_shape(architecture), type, "packed.gguf");
      const Opened plain = open_logged(path);
      CHECK(plain.model->pack_cache().empty());
      CHECK(plain.warnings.empty());

      const elms::PackReport report = pack(path);
      CHECK(report.path == elms::pack_cache_path(path, plain.model->isa()));
      CHECK(report.file_bytes == fs::file_size(report.path));
      const Opened packed = open_logged(path);
      CHECK(packed.warnings == "");
      CHECK(packed.model->pack_cache() == report.path);
      CHECK(packed.model->packed_bytes() == plain.model->packed_bytes());
      CHECK(same(logits_of(packed.model), logits_of(plain.model)));
      CHECK(open_logged(path, {}, false).model->pack_cache().empty());
      fs::remove(report.path);
    }
  }
}

TEST_CASE("pack_cache: another place, and errors", "[model][pack]") {
  const std::string path = write_model(small_shape(), elms::DType::kQ8_0, "elsewhere.gguf");
  const std::string cache = scratch_path("other.cache");
  CHECK(open_logged(path, cache).warnings.find("other.cache") != std::string::npos);  // was named, but is not there
  pack(path, cache);
  CHECK(open_logged(path).model->pack_cache().empty());
  CHECK(open_logged(path, cache).model->pack_cache() == cache);

  CHECK(elms::pack_model(scratch_path("nowhere.gguf")).error().code() == elms::StatusCode::kNotFound);
  CHECK(elms::pack_model(path, scratch_path("no/such/folder/x")).error().code() == elms::StatusCode::kIoError);
}

TEST_CASE("pack_cache: cancelling leaves nothing behind, and the old cache alone", "[model][pack]") {
  const std::string path = write_model(small_shape(), elms::DType::kQ4_0, "cancelled.gguf");
  const std::string cache = pack(path).path;
  const auto before = read_bytes(cache);
  elms::PackOptions options;
  options.pool = make_pool(1);
  double last = 0.0;
  options.on_progress = [&](double fraction) {
    CHECK(fraction > last);
    last = fraction;
    return fraction > 0.5 ? elms::Flow::kStop : elms::Flow::kContinue;
  };
  CHECK(elms::pack_model(path, {}, options).error().code() == elms::StatusCode::kCancelled);
  CHECK(last > 0.5);
  CHECK(read_bytes(cache) == before);
  CHECK_FALSE(fs::exists(cache + ".partial"));
}

TEST_CASE("pack_cache: a model that changed, or other kernels, make it stale", "[model][pack]") {
  const std::string path = write_model(small_shape(), elms::DType::kQ8_0, "stale.gguf");
  const std::string cache = pack(path).path;
  const auto packed = read_bytes(cache);
  REQUIRE(open_logged(path).model->pack_cache() == cache);
  const auto ignored = [&](const std::string& why) {
    const Opened opened = open_logged(path, cache);
    CHECK(opened.model->pack_cache().empty());
    CHECK(opened.warnings.find(why) != std::string::npos);
    CHECK(same(logits_of(opened.model), logits_of(open_logged(path, {}, false).model)));
  };
  SECTION("its time of last change") {
    fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(2));
    ignored("stale");
  }
  SECTION("its header, with the same size and time") {
    const auto time = fs::last_write_time(path);
    auto bytes = read_bytes(path);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const auto name = text.find("random weights");
    REQUIRE(name != std::string_view::npos);
    bytes[name] = 'R';
    write_bytes(path, bytes);
    fs::last_write_time(path, time);
    ignored("stale");
  }
  SECTION("its size") {
    const auto time = fs::last_write_time(path);
    auto bytes = read_bytes(path);
    bytes.resize(bytes.size() + 1);
    write_bytes(path, bytes);
    fs::last_write_time(path, time);
    ignored("stale");
  }
  SECTION("kernels of another ISA") {
    if (std::string_view(open_logged(path).model->isa()) == "scalar") ELMS_SKIP("only scalar kernels here");
    const char* isa = std::getenv("ELMS_ISA");
    const std::string before = isa == nullptr ? "" : isa;
    REQUIRE(::setenv("ELMS_ISA", "scalar", 1) == 0);
    CHECK(open_logged(path).warnings.empty());  // looks for a file of another name
    ignored("other kernels");
    if (isa == nullptr) {
      ::unsetenv("ELMS_ISA");
    } else {
      ::setenv("ELMS_ISA", before.c_str(), 1);
    }
  }
  SECTION("another version") {
    auto bytes = packed;
    ++bytes[8];
    fix_checksum(bytes);
    write_bytes(cache, bytes);
    ignored("version");
  }
  SECTION("a kernel whose layout changed under the same name") {
    auto bytes = packed;
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const auto name = text.find("blk.1.attn_q.weight");
    REQUIRE(name != std::string_view::npos);
    bytes[name + std::strlen("blk.1.attn_q.weight")] ^= 1;
    fix_checksum(bytes);
    write_bytes(cache, bytes);
    ignored("laid out in another way");
  }
}

TEST_CASE("pack_cache: a truncated or damaged cache is ignored", "[model][pack]") {
  const std::string path = write_model(small_shape(), elms::DType::kQ4_0, "damaged.gguf");
  const std::string cache = pack(path).path;
  const auto packed = read_bytes(cache);
  const std::size_t index = index_bytes(packed);
  const auto ignores = [&](const std::vector<std::uint8_t>& bytes) {
    write_bytes(cache, bytes);
    const Opened opened = open_logged(path);
    return opened.model->pack_cache().empty() && !opened.warnings.empty();
  };
  const std::vector<float> expected = logits_of(open_logged(path, {}, false).model);

  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{63}, std::size_t{64},
                                 std::size_t{65}, index - 1, index, index + 1, packed.size() / 2, packed.size() - 4096,
                                 packed.size() - 1, packed.size() + 1}) {
    CAPTURE(size);
    auto bytes = packed;
    bytes.resize(size);
    CHECK(ignores(bytes));
  }
  CHECK(same(logits_of(open_logged(path).model), expected));

  auto rng = make_rng(21);
  for (int i = 0; i < 300; ++i) {  // all of the header, then anywhere in the index
    const std::size_t at = i < 64 ? static_cast<std::size_t>(i) : rng() % index;
    const auto flip = static_cast<std::uint8_t>(1u << rng() % 8);
    CAPTURE(at, flip);
    auto bytes = packed;
    bytes[at] ^= flip;
    CHECK(ignores(bytes));
  }
  write_bytes(cache, packed);
  CHECK(open_logged(path).model->pack_cache() == cache);  // the damage was what mattered
}

TEST_CASE("pack_cache: an index that lies with a right checksum reads nothing outside the file", "[model][pack]") {
  const std::string path = write_model(small_shape(), elms::DType::kQ4_0, "lying.gguf");
  const std::string cache = pack(path).path;
  const auto packed = read_bytes(cache);
  const std::size_t index = index_bytes(packed);
  auto rng = make_rng(22);
  int ignored = 0;
  for (int i = 0; i < 400; ++i) {
    auto bytes = packed;
    // Mostly the table; a run of 1, 2, 4 or 8 bytes becomes random, all ones or zero.
    const std::size_t n = std::size_t{1} << rng() % 4;
    const std::size_t at = i < 64 ? static_cast<std::size_t>(i) : 64 + rng() % (index - 64 - n);
    for (std::size_t b = 0; b < n; ++b) {
      bytes[at + b] = i % 3 == 0 ? static_cast<std::uint8_t>(rng()) : i % 3 == 1 ? 0xff : 0x00;
    }
    fix_checksum(bytes);
    write_bytes(cache, bytes);
    const Opened opened = open_logged(path);
    ignored += opened.model->pack_cache().empty() ? 1 : 0;
    logits_of(opened.model);  // whatever they are
  }
  CHECK(ignored > 100);
}

#if defined(__linux__)

namespace {

/// Bytes of this process' mappings of a file that were touched.
std::size_t resident_bytes(const std::string& path) {
  std::ifstream smaps("/proc/self/smaps");
  std::size_t kib = 0;
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    if (line.find('-') < line.find(' ') && line.find(" r") != std::string::npos) inside = line.ends_with(path);
    if (inside && line.starts_with("Rss:")) kib += std::stoul(line.substr(4));
  }
  return kib * 1024;
}

}  // namespace

TEST_CASE("pack_cache: opening touches no panel and no tensor of the model", "[model][pack]") {
  auto shape = small_shape();
  shape.d_model = 256;
  shape.d_ff = 1024;
  shape.n_layers = 4;
  const std::string path = fs::canonical(write_model(shape, elms::DType::kQ8_0, "untouched.gguf")).string();
  const std::string cache = pack(path).path;
  const std::size_t cache_bytes = fs::file_size(cache), model_bytes = fs::file_size(path);
  const Opened opened = open_logged(path);
  REQUIRE(opened.model->pack_cache() == cache);
  // The kernel maps up to 16 neighbours of a page that is touched.
  constexpr std::size_t kAround = 2 * 64 * 1024;
  const std::size_t header = opened.model->source().gguf()->header_bytes().size();
  CHECK(resident_bytes(cache) <= index_bytes(read_bytes(cache)) + kAround);
  CHECK(resident_bytes(path) <= header + kAround);
  REQUIRE(model_bytes > header + 10 * kAround);
  logits_of(opened.model);
  CHECK(resident_bytes(cache) > cache_bytes * 9 / 10);
  CHECK(resident_bytes(path) <= header + 3 * kAround);  // rows of the embedding
}

#endif
