#include <filesystem>

#include "run_elms.hpp"

using namespace elms_test;
using Catch::Contains;
using nlohmann::json;

namespace {

/// A copy of the random model, so that a cache beside it is no other test's.
std::string copied_model(const std::string& name) {
  const std::string path = scratch_path(name);
  write_bytes(path, read_bytes(random_model()));
  return path;
}

}  // namespace

TEST_CASE("cli: a packed model gives the same answer, and a damaged cache a warning", "[cli]") {
  const std::string model = copied_model("to_pack.gguf");
  const std::vector<std::string> run = {"run", model, "-p", "abc", "-n", "8"};
  const json before = elms_json(run);
  const json report = elms_json({"pack", model});
  CHECK(report["isa"] == before["isa"]);
  CHECK(report["output"] == model + "." + before["isa"].get<std::string>() + ".elmspack");
  const std::string cache = report["output"];
  CHECK(report["bytes"] == std::filesystem::file_size(cache));
  CHECK(elms_json(run)["tokens"] == before["tokens"]);

  auto bytes = read_bytes(cache);
  bytes[100] ^= 1;
  write_bytes(cache, bytes);
  const Finished damaged = run_elms({"run", model, "-p", "abc", "-n", "8", "--json", "-t", "1"});
  CHECK(damaged.code == 0);
  CHECK_THAT(damaged.err, Contains("warning: pack cache ignored: ") && Contains(cache));
  CHECK(json::parse(damaged.out)["tokens"] == before["tokens"]);
}

TEST_CASE("cli: pack says what it cannot do", "[cli]") {
  const Finished missing = run_elms({"pack", scratch_path("nowhere.gguf")});
  CHECK(missing.code == 1);
  CHECK_THAT(missing.err, Contains("nowhere.gguf"));
  CHECK(run_elms({"pack"}).code == 2);
}

TEST_CASE("cli: synth gives every level an adapter on request", "[cli]") {
  const std::string path = scratch_path("with_adapters.gguf");
  const json report = elms_json({"synth", "--shape",
                                 R"({"d_model":64,"n_layers":3,"n_heads":4,"n_kv_heads":2,"head_dim":32,"d_ff":192,"n_vocab":320})",
                                 "--type", "q8_0", "--lora-rank", "4", "-o", path});
  CHECK(report["lora_rank"] == 4);
  const json info = elms_json({"info", path});
  for (std::size_t level = 0; level < info["levels"].size(); ++level) {
    const std::string adapter = path.substr(0, path.size() - 5) + ".level" + std::to_string(level) + ".lora.gguf";
    CHECK(std::filesystem::exists(adapter));
  }
  const std::vector<std::string> run = {"run", path, "-p", "abc", "-n", "4", "--width", "0.5"};
  const json with = elms_json(run);
  CHECK(with["tokens"].size() == 4);
  std::filesystem::remove(path.substr(0, path.size() - 5) + ".level0.lora.gguf");
  const Finished without = run_elms(run);
  CHECK(without.code == 1);
  CHECK_THAT(without.err, Contains("with_adapters.level0.lora.gguf"));
}
