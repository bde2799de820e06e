#include "elms/detail/model_source.hpp"

#include <filesystem>
#include <system_error>

#include "elms/detail/error.hpp"
#include "io/gguf_source.hpp"
#include "io/hf_source.hpp"

namespace elms::inline v0::detail {

Result<std::unique_ptr<const ModelSource>> ModelSource::open(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return open_hf_source(path);
  if (path.ends_with(".safetensors")) {
    return unsupported(path, ": open the directory that holds it together with its config.json");
  }
  return open_gguf_source(path);
}

}  // namespace elms::inline v0::detail
