#include "support.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#if defined(_WIN32)
#include <process.h>
#define getpid _getpid
#else
#include <unistd.h>
#endif

namespace elms_test {
namespace fs = std::filesystem;

namespace {
class ScratchDir {
 public:
  ScratchDir() : path_(fs::temp_directory_path() / ("elms_test_" + std::to_string(getpid()))) {
    fs::create_directories(path_);
  }
  ~ScratchDir() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};
}  // namespace

std::string shared_dir() {
  const char* from_environment = std::getenv("ELMS_SHARED_DIR");
  return from_environment != nullptr ? from_environment : ELMS_SHARED_DIR_DEFAULT;
}

std::string shared_file(const std::string& relative_path) {
  const std::string path = shared_dir() + "/" + relative_path;
  return fs::exists(path) ? path : std::string();
}

std::string scratch_path(const std::string& file_name) {
  static const ScratchDir dir;
  return (dir.path() / file_name).string();
}

std::vector<std::uint8_t> read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void write_bytes(const std::string& path, const std::vector<std::uint8_t>& bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

namespace {
std::vector<std::string>& noted_skips() {
  static std::vector<std::string> reasons;
  return reasons;
}
}  // namespace

void note_skip(std::string reason) { noted_skips().push_back(std::move(reason)); }

std::vector<std::string> take_skips() { return std::exchange(noted_skips(), {}); }

std::mt19937 make_rng(std::uint32_t salt) {
  const char* from_environment = std::getenv("ELMS_TEST_SEED");
  const std::uint32_t seed = from_environment != nullptr ? std::strtoul(from_environment, nullptr, 10) : 20260901u;
  UNSCOPED_INFO("ELMS_TEST_SEED=" << seed << " salt=" << salt);
  return std::mt19937(seed ^ (salt * 2654435761u));
}

}  // namespace elms_test
