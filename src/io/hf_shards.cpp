#include "io/hf_shards.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "elms/detail/error.hpp"
#include "io/json_file.hpp"

namespace elms::inline v0::detail {
namespace {

constexpr std::string_view kSingleFile = "model.safetensors";
constexpr std::string_view kIndexFile = "model.safetensors.index.json";
constexpr std::uint64_t kMaxIndexBytes = 16 << 20;  // about 100 bytes a tensor

/// tensor name -> file name
using WeightMap = std::map<std::string, std::string, std::less<>>;

std::string in_directory(const std::string& directory, std::string_view name) {
  return concat(directory, "/", name);
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// A name that stays in the directory it is looked up in, on every system.
bool is_plain_file_name(std::string_view name) {
  if (!name.ends_with(".safetensors") || name.starts_with(".")) return false;
  for (const char c : name) {
    if (c == '/' || c == '\\' || c == ':' || static_cast<unsigned char>(c) < 0x20) return false;
  }
  return true;
}

Result<WeightMap> read_index(const JsonFile& index) {
  const JsonObject top = index.top();
  ELMS_ASSIGN_OR_RETURN(const JsonObject weight_map, top.object("weight_map"));
  WeightMap out;
  for (const auto& item : weight_map.value().items()) {
    ELMS_ASSIGN_OR_RETURN(const std::string_view file, weight_map.string(item.key()));
    if (!is_plain_file_name(file)) {
      return malformed(weight_map.at(item.key()),
                       ": expected the name of a .safetensors file of the directory, found ", file);
    }
    out.emplace(item.key(), file);
  }
  if (out.empty()) return malformed(top.at("weight_map"), ": expected at least one tensor");
  return out;
}

Status check_index(const JsonFile& index, const WeightMap& weight_map,
                   std::span<const SafetensorsFile> shards, const std::string& directory) {
  std::size_t n_tensors = 0;
  for (const SafetensorsFile& shard : shards) {
    for (const StoredTensor& tensor : shard.tensors()) {
      const auto listed = weight_map.find(tensor.name);
      if (listed == weight_map.end() || in_directory(directory, listed->second) != shard.name()) {
        return malformed(index.name(), ": tensor ", tensor.name, ": expected ", shard.name(),
                         ", where it is, found ",
                         listed == weight_map.end() ? std::string_view("nothing") : listed->second);
      }
      ++n_tensors;
    }
  }
  if (n_tensors == weight_map.size())
    return {};  // every tensor found is listed, in one file: the sets are equal
  for (const auto& [name, file] : weight_map) {
    for (const SafetensorsFile& shard : shards) {
      if (shard.name() != in_directory(directory, file)) continue;
      const auto holds = [&wanted = name](const StoredTensor& tensor) { return tensor.name == wanted; };
      if (std::none_of(shard.tensors().begin(), shard.tensors().end(), holds)) {
        return malformed(shard.name(), ": tensor ", name, ", which ", index.name(), " lists, is missing");
      }
    }
  }
  return {};
}

Result<std::vector<SafetensorsFile>> open_indexed(const std::string& directory,
                                                  const std::string& index_path) {
  ELMS_ASSIGN_OR_RETURN(const JsonFile index, JsonFile::open(index_path, kMaxIndexBytes));
  ELMS_ASSIGN_OR_RETURN(const WeightMap weight_map, read_index(index));
  std::set<std::string_view> names;
  for (const auto& [tensor, file] : weight_map) names.insert(file);
  std::vector<SafetensorsFile> shards;
  for (const std::string_view name : names) {
    ELMS_ASSIGN_OR_RETURN(SafetensorsFile shard, SafetensorsFile::open(in_directory(directory, name)));
    shards.push_back(std::move(shard));
  }
  ELMS_RETURN_IF_ERROR(check_index(index, weight_map, shards, directory));
  return shards;
}

}  // namespace

Result<std::vector<SafetensorsFile>> open_hf_shards(const std::string& directory) {
  if (const std::string single = in_directory(directory, kSingleFile); exists(single)) {
    ELMS_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::open(single));
    std::vector<SafetensorsFile> shards;
    shards.push_back(std::move(file));
    return shards;
  }
  if (const std::string index = in_directory(directory, kIndexFile); exists(index))
    return open_indexed(directory, index);
  for (const char* other :
       {"pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.safetensors"}) {
    if (!exists(in_directory(directory, other))) continue;
    return unsupported(directory, ": elms reads ", kSingleFile, " or ", kIndexFile, ", found only ", other);
  }
  return error(StatusCode::kNotFound, directory, ": expected ", kSingleFile, " or ", kIndexFile);
}

}  // namespace elms::inline v0::detail
