#include "sweeps.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "allocations.hpp"
#include "support.hpp"

namespace elms_test {
namespace fs = std::filesystem;

namespace {

/// The files of these tests are below 64 KiB.
constexpr std::size_t kMostBytesAtOnce = 4u << 20;
constexpr std::chrono::seconds kMostTime{2};

class Sweep {
 public:
  Sweep(std::string path, const Use& use, const SweepRules& rules)
      : path_(std::move(path)), bytes_(read_bytes(path_)), use_(use), rules_(rules) {
    const elms::Result<std::string> whole = use_();
    REQUIRE_OK(whole);
    expected_ = *whole;
    REQUIRE_FALSE(expected_.empty());
  }
  ~Sweep() { write_bytes(path_, bytes_); }
  Sweep(const Sweep&) = delete;
  Sweep& operator=(const Sweep&) = delete;

  std::size_t size() const noexcept { return bytes_.size(); }
  void cut(std::size_t size) { fs::resize_file(path_, size); }
  void flip(std::size_t at, std::uint8_t bits) {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at)).put(static_cast<char>(bytes_[at] ^ bits));
    REQUIRE(file.flush().good());
  }

  /// Uses the file as it is now.
  void run(bool must_be_same, const std::string& what) {
    const auto begin = std::chrono::steady_clock::now();
    const AllocationCounter memory;
    const elms::Result<std::string> result = use_();
    const std::size_t largest = memory.largest();
    const auto time = std::chrono::steady_clock::now() - begin;
    ++n_cases_;
    largest_ = std::max(largest_, largest);
    const bool same = result.has_value() && *result == expected_;
    n_same_ += same ? 1 : 0;
    n_refused_ += result.has_value() ? 0 : 1;
    const bool named = result.has_value() || !result.error().message().empty();
    const bool allowed = rules_.always_same ? same : !result.has_value() || same || !must_be_same;
    if (allowed && named && largest <= kMostBytesAtOnce && time <= kMostTime) return;
    INFO(path_ << ", " << what << ": " << (result.has_value() ? "another result" : result.error().message())
               << ", " << largest << " bytes at once");
    CHECK(allowed);
    CHECK(named);
    CHECK(largest <= kMostBytesAtOnce);
    CHECK(time <= kMostTime);
  }

  void report(const char* kind) {
    write_bytes(path_, bytes_);
    const elms::Result<std::string> again = use_();
    REQUIRE_OK(again);
    CHECK(*again == expected_);  // the damage was what mattered
    std::printf(
        "SHOWN: %s of %s (%zu bytes): %zu cases, %zu refused, %zu with the same result, %zu with another; at "
        "most %zu KiB at once\n",
        kind, fs::path(path_).filename().c_str(), size(), n_cases_, n_refused_, n_same_,
        n_cases_ - n_refused_ - n_same_, largest_ / 1024);
  }

  bool is_inert(std::size_t at) const {
    return std::any_of(rules_.inert.begin(), rules_.inert.end(),
                       [&](const auto& range) { return at >= range.first && at < range.second; });
  }

 private:
  std::string path_;
  std::vector<std::uint8_t> bytes_;
  const Use& use_;
  const SweepRules& rules_;
  std::string expected_;
  std::size_t n_cases_ = 0, n_refused_ = 0, n_same_ = 0, largest_ = 0;
};

}  // namespace

void sweep_truncations(const std::string& path, const Use& use, const SweepRules& rules) {
  Sweep sweep(path, use, rules);
  for (std::size_t size = sweep.size(); size > 0;) {
    size -= std::min(size, rules.step);
    sweep.cut(size);
    sweep.run(true, "cut to " + std::to_string(size) + " bytes");
  }
  sweep.report("truncations");
}

void sweep_flips(const std::string& path, const ByteRanges& bytes, const Use& use, const SweepRules& rules) {
  Sweep sweep(path, use, rules);
  for (const auto& [first, last] : bytes) {
    REQUIRE(last <= sweep.size());
    for (std::size_t at = first; at < last; ++at) {
      for (const std::uint8_t bits : {std::uint8_t{0xff}, std::uint8_t{0x01}, std::uint8_t{0x80}}) {
        sweep.flip(at, bits);
        sweep.run(sweep.is_inert(at),
                  "byte " + std::to_string(at) + " with bits " + std::to_string(bits) + " flipped");
      }
      sweep.flip(at, 0);
    }
  }
  sweep.report("flips");
}

}  // namespace elms_test
