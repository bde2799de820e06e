// Damaged Hugging Face checkpoints: each of the files of a directory.
#include "../io/tiny_checkpoint.hpp"
#include "small_elastic_model.hpp"
#include "support.hpp"
#include "sweeps.hpp"

using namespace elms_test;

namespace {

constexpr const char* kTokenizer = R"({"version": "1.0", "truncation": null, "padding": null,
"added_tokens": [{"id": 18, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
"normalizer": null, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
"post_processor": null, "decoder": {"type": "ByteLevel"},
"model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false,
"vocab": {"a": 0, "b": 1, "c": 2, "d": 3, "A": 4, "B": 5, "/": 6, "s": 7, "<": 8, ">": 9, "?": 10, "\u0120": 11, "\u010a": 12, "ab": 13,
"cd": 14, "\u0120a": 15, "\u0120ab": 16, "abcd": 17}, "merges": ["a b", "c d", "\u0120 a", "\u0120 ab", "ab cd"]}})";
constexpr const char* kTokenizerConfig =
    R"({"eos_token": "</s>", "chat_template": "{% for message in messages %}{{ '<|im_start|>' + )"
    R"(message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"})";

/// All of a file.
ByteRanges whole(const std::string& path) {
  return {{0, read_bytes(path).size()}};
}

}  // namespace

TEST_CASE("damage: a Hugging Face checkpoint", "[damage]") {
  std::mt19937 rng = make_rng(94);
  const TinyShape shape{.layers = 1};
  const std::string directory = write_hf("checkpoint", shape, tiny_tensors(shape, rng), "BF16");
  write_text(directory + "/tokenizer.json", kTokenizer);
  write_text(directory + "/tokenizer_config.json", kTokenizerConfig);
  auto pool = elms::ThreadPool::create(1);
  REQUIRE_OK(pool);
  const Use use = [&] { return use_model(directory, *pool); };
  const std::string weights = directory + "/model.safetensors";

  SECTION("weights cut short") {
    sweep_truncations(weights, use);
  }
  SECTION("weights flipped") {
    const std::vector<std::uint8_t> bytes = read_bytes(weights);
    sweep_flips(weights, {{0, 8 + std::size_t{bytes[0]} + 256 * std::size_t{bytes[1]}}}, use);
  }
  for (const char* name : {"config.json", "tokenizer.json", "tokenizer_config.json"}) {
    const std::string path = directory + "/" + name;
    SECTION(std::string(name) + " cut short") {
      sweep_truncations(path, use);
    }
    SECTION(std::string(name) + " flipped") {
      sweep_flips(path, whole(path), use);
    }
  }
}
