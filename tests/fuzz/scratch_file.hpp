// A file in memory for what opens files only, written again for every input.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/fuzz/fuzz_targets.hpp"

namespace elms_test {

/// A folder of this process, in memory where there is /dev/shm; it goes when the process ends in order.
class ScratchFolder {
 public:
  ScratchFolder() {
    for (const char* parent : {"/dev/shm", "/tmp"}) {
      path_ = std::string(parent) + "/elms_fuzz_XXXXXX";
      if (::mkdtemp(path_.data()) != nullptr) return;
    }
    require(false, "a folder can be made");
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    for (const std::string& file : files_) ::unlink(file.c_str());
    ::rmdir(path_.c_str());
  }

  /// The path of the file.
  std::string write(const std::string& name, FuzzBytes bytes) {
    std::string path = path_ + "/" + name;
    if (std::find(files_.begin(), files_.end(), path) == files_.end()) files_.push_back(path);
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    require(file >= 0, "a file can be made");
    require(::write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
            "a file can be written");
    ::close(file);
    return path;
  }

 private:
  std::string path_;
  std::vector<std::string> files_;
};

/// A file of corpus/.
inline std::vector<std::uint8_t> read_corpus_file(const std::string& name) {
  const std::string path = std::string(ELMS_FUZZ_CORPUS) + "/" + name;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  require(file != nullptr, "the corpus is there");
  std::vector<std::uint8_t> bytes;
  std::uint8_t block[4096];
  for (std::size_t n = 0; (n = std::fread(block, 1, sizeof block, file)) > 0;)
    bytes.insert(bytes.end(), block, block + n);
  std::fclose(file);
  return bytes;
}

}  // namespace elms_test
