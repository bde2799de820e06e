#include <filesystem>

#include "run_elms.hpp"

using namespace elms_test;

namespace {

/// Whether a run left anything in the folder but what was there.
std::size_t files_in(const std::string& folder) {
  std::size_t n = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++n;
  return n;
}

std::string fresh_folder(const std::string& name) {
  const std::string path = scratch_path(name);
  std::filesystem::create_directories(path);
  return path;
}

}  // namespace

TEST_CASE("cli: a failed elasticize leaves no output, and none half done", "[cli]") {
  const std::string folder = fresh_folder("failed_elasticize"), out = folder + "/out.gguf";
  const std::string few = scratch_path("few.txt"), cut = scratch_path("cut.gguf");
  write_bytes(few, {'a', 'b'});
  auto bytes = read_bytes(random_model());
  bytes.resize(bytes.size() * 2 / 3);
  write_bytes(cut, bytes);
  CHECK(run_elms({"elasticize", random_model(), "-o", out, "--calib", few, "-t", "1"}).code == 1);
  CHECK(run_elms({"elasticize", cut, "-o", out, "--importance", "magnitude", "-t", "1"}).code == 1);
  CHECK(run_elms({"elasticize", random_model(), "-o", folder + "/no/such/folder.gguf", "--importance", "magnitude", "-t",
                  "1"}).code == 1);
  CHECK(files_in(folder) == 0);
}

TEST_CASE("cli: a failed elasticize leaves the file that was there", "[cli]") {
  const std::string folder = fresh_folder("kept_elasticize"), out = folder + "/out.gguf", few = scratch_path("few2.txt");
  write_bytes(few, {'a'});
  write_bytes(out, {1, 2, 3});
  CHECK(run_elms({"elasticize", random_model(), "-o", out, "--calib", few, "-t", "1"}).code == 1);
  CHECK(read_bytes(out) == std::vector<std::uint8_t>{1, 2, 3});
  CHECK(files_in(folder) == 1);
}

TEST_CASE("cli: an elastic model is not elasticized again", "[cli]") {
  const std::string once = scratch_path("once.gguf"), twice = scratch_path("twice.gguf");
  elms_json({"elasticize", random_model(), "-o", once, "--importance", "magnitude"});
  const Finished again = run_elms({"elasticize", once, "-o", twice, "--importance", "magnitude"});
  CHECK(again.code == 1);
  CHECK_THAT(again.err, Catch::Contains("elastic already"));
  CHECK_FALSE(std::filesystem::exists(twice));
}

TEST_CASE("cli: Ctrl-C stops long work and leaves nothing behind", "[cli]") {
  if (run_elms({"--version"}, {}, "timeout 60").code != 0) ELMS_SKIP("no `timeout` to send a signal with");
  const std::string folder = fresh_folder("interrupted");
  const std::string shape =
      R"({"d_model":2048,"n_layers":64,"n_heads":32,"n_kv_heads":4,"d_ff":8192,"n_vocab":32000})";  // 14 GB in f32
  const Finished stopped = run_elms({"synth", "--shape", shape, "-o", folder + "/big.gguf", "-t", "1"}, {},
                                    "timeout --preserve-status -s INT 2");
  CHECK(stopped.code == 130);
  CHECK(files_in(folder) == 0);
}
