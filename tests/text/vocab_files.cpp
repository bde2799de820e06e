#include "vocab_files.hpp"

#include <algorithm>
#include <filesystem>
#include <map>

#include "elms/detail/gguf.hpp"
#include "text/unicode.hpp"

namespace elms_test {

using nlohmann::json;

TokenizerPtr open_gguf_tokenizer(const std::string& path) {
  auto file = elms::detail::GgufFile::open(path);
  REQUIRE_OK(file);
  auto tokenizer = elms::Tokenizer::from_gguf(*file);
  REQUIRE_OK(tokenizer);
  return *tokenizer;
}

TokenizerPtr open_json_tokenizer(const std::string& path) {
  auto tokenizer = elms::Tokenizer::from_tokenizer_json(path);
  REQUIRE_OK(tokenizer);
  return *tokenizer;
}

std::string read_text(const std::string& path) {
  const auto bytes = read_bytes(path);
  return {bytes.begin(), bytes.end()};
}

static void write_file(const std::string& path, const std::string& text) {
  write_bytes(path, {text.begin(), text.end()});
}

TokenizerPtr write_and_open(const std::string& name, const json& contents, const json& config) {
  const std::string folder = scratch_path(name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  write_file(folder + "/tokenizer.json", contents.dump());
  if (!config.is_null()) write_file(folder + "/tokenizer_config.json", config.dump());
  return open_json_tokenizer(folder + "/tokenizer.json");
}

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != text.npos; end = text.find('\n', begin)) {
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

static json special_token(int id, const std::string& text) {
  return {{"id", id},        {"content", text},     {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

static json merges_of(const std::string& path) {
  json merges = json::array();
  for (const std::string& line : split_lines(read_text(path))) {
    if (!line.empty() && !line.starts_with("#version")) merges.push_back(line);
  }
  return merges;
}

json gpt2_json() {
  json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  return {{"version", "1.0"},
          {"added_tokens", {special_token(50256, "<|endoftext|>")}},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", byte_level},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", ""},
            {"end_of_word_suffix", ""},
            {"fuse_unk", false},
            {"vocab", json::parse(read_text(shared_dir() + "/tokenizers/gpt2/vocab.json"))},
            {"merges", merges_of(shared_dir() + "/tokenizers/gpt2/merges.txt")}}}};
}

const char* const kLlama3Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const char* const kQwen2Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

json isolated_split(const char* regex) {
  return {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}};
}

json with_steps(json tokenizer, json steps) {
  steps.push_back(
      {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}});
  tokenizer["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", steps}};
  return tokenizer;
}

std::vector<std::uint8_t> with_pre_tokenizer(const std::vector<std::uint8_t>& gguf, const std::string& name) {
  const std::string key = "tokenizer.ggml.pre";
  const auto found = std::search(gguf.begin(), gguf.end(), key.begin(), key.end());
  REQUIRE(found != gguf.end());
  const auto at = found + static_cast<std::ptrdiff_t>(key.size() + 4);  // after the type
  std::vector<std::uint8_t> out(gguf.begin(), at);
  out.push_back(static_cast<std::uint8_t>(name.size()));
  out.insert(out.end(), 7, 0);
  out.insert(out.end(), name.begin(), name.end());
  out.insert(out.end(), at + 8 + *at, gguf.end());
  return out;
}

json llama3_json() {
  json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  json bos = {{"SpecialToken", {{"id", "<|begin_of_text|>"}, {"type_id", 0}}}};
  json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  json processor = {
      {"type", "TemplateProcessing"},
      {"single", {bos, text}},
      {"special_tokens",
       {{"<|begin_of_text|>",
         {{"id", "<|begin_of_text|>"}, {"ids", {128000}}, {"tokens", {"<|begin_of_text|>"}}}}}}};
  json tokenizer = {
      {"version", "1.0"},
      {"added_tokens",
       {special_token(128000, "<|begin_of_text|>"), special_token(128001, "<|end_of_text|>"),
        special_token(128006, "<|start_header_id|>"), special_token(128007, "<|end_header_id|>"),
        special_token(128008, "<|eom_id|>"), special_token(128009, "<|eot_id|>")}},
      {"normalizer", nullptr},
      {"pre_tokenizer", nullptr},
      {"post_processor", {{"type", "Sequence"}, {"processors", {byte_level, processor}}}},
      {"decoder", byte_level},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"fuse_unk", false},
        {"byte_fallback", false},
        {"ignore_merges", true},
        {"vocab", json::parse(read_text(shared_dir() + "/tokenizers/llama3/encoder.json"))},
        {"merges", merges_of(shared_dir() + "/tokenizers/llama3/vocab.bpe")}}}};
  return with_steps(std::move(tokenizer), json::array({isolated_split(kLlama3Regex)}));
}

/// Every way to make a token of two others is a merge, ordered by the token's score: how transformers turns a
/// SentencePiece model into tokenizer.json.
static json merges_of_scores(const std::vector<std::string_view>& tokens, const std::vector<float>& scores) {
  std::map<std::string_view, std::size_t> ids;
  for (std::size_t i = 0; i < tokens.size(); ++i) ids.emplace(tokens[i], i);
  struct Line {
    float score;
    std::size_t left, right;
  };
  std::vector<Line> lines;
  for (std::size_t i = 259; i < tokens.size(); ++i) {
    for (std::size_t cut = 1; cut < tokens[i].size(); ++cut) {
      const auto left = ids.find(tokens[i].substr(0, cut));
      const auto right = ids.find(tokens[i].substr(cut));
      if (left != ids.end() && right != ids.end()) lines.push_back({scores[i], left->second, right->second});
    }
  }
  std::stable_sort(lines.begin(), lines.end(),
                   [](const Line& a, const Line& b) { return a.score > b.score; });
  json merges = json::array();
  for (const Line& line : lines)
    merges.push_back({std::string(tokens[line.left]), std::string(tokens[line.right])});
  return merges;
}

json llama2_json(const std::string& gguf_path) {
  auto file = elms::detail::GgufFile::open(gguf_path);
  REQUIRE_OK(file);
  const auto tokens = *file->strings("tokenizer.ggml.tokens");
  const auto scores = *file->reals("tokenizer.ggml.scores");
  json vocab = json::object();
  for (std::size_t i = 0; i < tokens.size(); ++i) vocab[std::string(tokens[i])] = i;
  json bos = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  return {{"version", "1.0"},
          {"added_tokens", {special_token(0, "<unk>"), special_token(1, "<s>"), special_token(2, "</s>")}},
          {"normalizer",
           {{"type", "Sequence"},
            {"normalizers",
             {{{"type", "Prepend"}, {"prepend", "▁"}},
              {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}}}}},
          {"pre_tokenizer", nullptr},
          {"post_processor",
           {{"type", "TemplateProcessing"},
            {"single", {bos, text}},
            {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {1}}, {"tokens", {"<s>"}}}}}}}},
          {"decoder",
           {{"type", "Sequence"},
            {"decoders",
             {{{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}},
              {{"type", "ByteFallback"}},
              {{"type", "Fuse"}},
              {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", "<unk>"},
            {"fuse_unk", true},
            {"byte_fallback", true},
            {"vocab", vocab},
            {"merges", merges_of_scores(tokens, scores)}}}};
}

std::string random_text(std::mt19937& rng, std::size_t n_parts) {
  static const std::vector<std::string> kParts = {"Hello",
                                                  "world",
                                                  " the",
                                                  " and",
                                                  "'s",
                                                  "'LL",
                                                  " don't",
                                                  "I've",
                                                  "  ",
                                                  "   ",
                                                  " ",
                                                  "\n",
                                                  "\r\n",
                                                  "\n\n",
                                                  "\t",
                                                  " \n ",
                                                  "3",
                                                  "42",
                                                  "1234",
                                                  "١٢",
                                                  "½",
                                                  "²",
                                                  "!",
                                                  "?!",
                                                  "...",
                                                  " (",
                                                  "«",
                                                  "—",
                                                  "`",
                                                  "$",
                                                  "+=",
                                                  "_",
                                                  "🙂",
                                                  "👩‍👩‍👧",
                                                  "🇩🇪",
                                                  "✅",
                                                  "日本語",
                                                  "我想",
                                                  "한국어",
                                                  "ñ",
                                                  "é",
                                                  "e\u0301",
                                                  "a\u0323\u0302",
                                                  "ß",
                                                  "İ",
                                                  "ſ",
                                                  "Ω",
                                                  "нещо",
                                                  "ไทย",
                                                  "हिन्दी",
                                                  "ﬁ",
                                                  "\u00a0",
                                                  "\u3000",
                                                  "\u2003",
                                                  "\u200b",
                                                  "\u0085",
                                                  "\ufeff",
                                                  "\x01",
                                                  "\x7f",
                                                  "\u0000",
                                                  "<s>",
                                                  "[CLS]",
                                                  "▁",
                                                  "##",
                                                  "<0x0A>"};
  std::string text;
  for (std::size_t i = 0; i < n_parts; ++i) {
    const auto kind = rng() % 8;
    if (kind == 0) {
      char32_t c = rng() % 0x110000;
      if (c >= 0xD800 && c < 0xE000) c = 0x41;
      elms::detail::append_utf8(text, c);
    } else if (kind == 1) {
      text.push_back(static_cast<char>(0x20 + rng() % 0x5F));
    } else {
      text += kParts[rng() % kParts.size()];
    }
  }
  return text;
}

}  // namespace elms_test
