// tokenizer.json: the forms that components come in, and what is refused by name.
#include <filesystem>

#include "vocab_files.hpp"

using elms::StatusCode;
using elms_test::Ids;
using elms_test::TokenizerPtr;
using nlohmann::json;

namespace {

json added(int id, const std::string& content, bool special, bool normalized = false) {
  return {{"id", id}, {"content", content}, {"special", special}, {"normalized", normalized}};
}

json byte_level(bool use_regex = true, bool prefix_space = false) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", prefix_space}, {"use_regex", use_regex}};
}

/// Byte-level BPE over "ab".
json small_bpe() {
  return {{"added_tokens", json::array({added(6, "<s>", true), added(7, "<tool>", false)})},
          {"pre_tokenizer", byte_level()},
          {"decoder", byte_level()},
          {"model",
           {{"type", "BPE"},
            {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}, {"Ġ", 3}, {"Ġab", 4}, {"ba", 5}}},
            {"merges", json::array({"a b", "Ġ ab", "b a"})}}}};
}

json marked_decoder() {
  return {{"type", "Sequence"},
          {"decoders", json::array({{{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}},
                                    {{"type", "ByteFallback"}},
                                    {{"type", "Fuse"}},
                                    {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}})}};
}

/// BPE over characters with marked spaces.
json small_marked(const json& metaspace) {
  return {{"pre_tokenizer", metaspace},
          {"decoder", marked_decoder()},
          {"added_tokens", json::array({added(9, "<x>", false)})},
          {"model",
           {{"type", "BPE"},
            {"unk_token", "<unk>"},
            {"fuse_unk", true},
            {"byte_fallback", true},
            {"vocab",
             {{"<unk>", 0},
              {"▁", 1},
              {"a", 2},
              {"b", 3},
              {"▁a", 4},
              {"a▁", 5},
              {"<0xC3>", 6},
              {"<0xA9>", 7},
              {"é", 8}}},
            {"merges", json::array({json::array({"a", "▁"}), json::array({"▁", "a"})})}}}};
}

json metaspace(const char* scheme, bool split) {
  return {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", scheme}, {"split", split}};
}

std::string write_json(const std::string& text) {
  const std::string folder = elms_test::scratch_path("refused");
  std::filesystem::create_directories(folder);
  std::filesystem::remove(folder + "/tokenizer_config.json");
  elms_test::write_bytes(folder + "/tokenizer.json", {text.begin(), text.end()});
  return folder + "/tokenizer.json";
}

void check_refused(const std::string& text, StatusCode code, const std::string& what) {
  const auto tokenizer = elms::Tokenizer::from_tokenizer_json(write_json(text));
  INFO(tokenizer.error().message());
  REQUIRE_FALSE(tokenizer.has_value());
  CHECK(tokenizer.error().code() == code);
  CHECK(tokenizer.error().message().find(what) != std::string::npos);
  CHECK(tokenizer.error().message().find("tokenizer.json") != std::string::npos);
}

/// small_bpe() with the value at a JSON pointer replaced.
std::string with(const char* pointer, const json& value) {
  json changed = small_bpe();
  changed[json::json_pointer(pointer)] = value;
  return changed.dump();
}

}  // namespace

TEST_CASE("merges are strings or pairs", "[text][json]") {
  json pairs = small_bpe();
  pairs["model"]["merges"] =
      json::array({json::array({"a", "b"}), json::array({"Ġ", "ab"}), json::array({"b", "a"})});
  for (const json& contents : {small_bpe(), pairs}) {
    const TokenizerPtr tokenizer = elms_test::write_and_open("small", contents);
    CHECK(tokenizer->encode("ab ab") == Ids{2, 4});
    CHECK(tokenizer->encode("bab") == Ids{1, 2});
    CHECK(tokenizer->model() == "gpt2");
  }
}

TEST_CASE("ByteLevel may put a space before every section", "[text][json]") {
  json contents = small_bpe();
  contents["pre_tokenizer"] = byte_level(true, true);
  const TokenizerPtr tokenizer = elms_test::write_and_open("small", contents);
  CHECK(tokenizer->encode("ab") == Ids{4});
  CHECK(tokenizer->encode(" ab") == Ids{4});
  CHECK(tokenizer->encode("ab<tool>ab") == Ids{4, 7, 4});
}

TEST_CASE("Metaspace prepends always, first or never, and may split", "[text][json]") {
  const auto encode = [](const char* scheme, bool split, const std::string& text) {
    return elms_test::write_and_open("small", small_marked(metaspace(scheme, split)))->encode(text);
  };
  CHECK(encode("always", true, "a<x>a") == Ids{4, 9, 4});
  CHECK(encode("first", true, "a<x>a") == Ids{4, 9, 2});
  CHECK(encode("never", true, "a<x>a") == Ids{2, 9, 2});
  CHECK(encode("never", true, "a a") == Ids{2, 4});
  CHECK(encode("never", false, "a a") == Ids{5, 2});
  CHECK(encode("always", true, "é") == Ids{1, 8});
  CHECK(encode("never", true, "\u00c9") == Ids{0});            // no byte token for its second byte
  CHECK(encode("never", true, "\u00c9\u00c9a") == Ids{0, 2});  // neighbours fuse
  CHECK(encode("never", true, "\xC3") == Ids{6});
}

TEST_CASE("normalizers change the text, and added tokens may be looked for in what they made",
          "[text][json]") {
  json contents = small_bpe();
  contents["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers", json::array({{{"type", "Lowercase"}},
                                   {{"type", "NFD"}},
                                   {{"type", "StripAccents"}},
                                   {{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}},
                                   {{"type", "Replace"}, {"pattern", {{"String", "x"}}}, {"content", "ab"}},
                                   {{"type", "Prepend"}, {"prepend", " "}}})}};
  contents["added_tokens"].push_back(added(8, "B<A>", false, true));
  const TokenizerPtr tokenizer = elms_test::write_and_open("small", contents);
  CHECK(tokenizer->encode("  ÁB ") == Ids{4});
  CHECK(tokenizer->encode("x") == Ids{4});
  CHECK(tokenizer->encode("<TOOL>") != Ids{7});  // not normalized: only as it is written
  CHECK(tokenizer->encode("<tool>x") == Ids{7, 4});
  CHECK(tokenizer->encode(" b<A>") == Ids{8});  // normalized: " b<a>" is what it became
}

TEST_CASE("TemplateProcessing, BertProcessing and RobertaProcessing", "[text][json]") {
  json contents = small_bpe();
  json special = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  json sequence = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  contents["post_processor"] = {{"type", "TemplateProcessing"},
                                {"single", json::array({special, special, sequence, special})},
                                {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", json::array({6})}}}}}};
  CHECK(elms_test::write_and_open("small", contents)->encode("a") == Ids{6, 6, 0, 6});
  CHECK(elms_test::write_and_open("small", contents)->encode("a", {.add_special = false}) == Ids{0});
  for (const char* type : {"BertProcessing", "RobertaProcessing"}) {
    contents["post_processor"] = {
        {"type", type}, {"sep", json::array({"b", 1})}, {"cls", json::array({"<s>", 6})}};
    const TokenizerPtr tokenizer = elms_test::write_and_open("small", contents);
    CHECK(tokenizer->encode("a") == Ids{6, 0, 1});
    CHECK(tokenizer->bos() == 6);
    CHECK(tokenizer->eos() == 1);
  }
}

TEST_CASE("tokenizer_config.json names BOS, EOS and the chat template", "[text][json]") {
  const TokenizerPtr plain = elms_test::write_and_open("small", small_bpe());
  CHECK(plain->bos() == elms::kNoToken);
  CHECK(plain->chat_template().empty());

  json config = {{"bos_token", "<s>"},
                 {"eos_token", {{"content", "<tool>"}, {"lstrip", false}}},
                 {"chat_template", "{{ x }}"}};
  const TokenizerPtr named = elms_test::write_and_open("small", small_bpe(), config);
  CHECK(named->bos() == 6);
  CHECK(named->eos() == 7);
  CHECK(named->is_end_of_generation(7));
  CHECK(named->chat_template() == "{{ x }}");
  CHECK(named->encode("a") == Ids{0});

  config["tokenizer_class"] = "LlamaTokenizerFast";
  config["add_bos_token"] = true;
  config["add_eos_token"] = false;
  config["chat_template"] =
      json::array({{{"name", "tool_use"}, {"template", "t"}}, {{"name", "default"}, {"template", "d"}}});
  const TokenizerPtr llama = elms_test::write_and_open("small", small_bpe(), config);
  CHECK(llama->encode("a") == Ids{6, 0});
  CHECK(llama->chat_template() == "d");
}

TEST_CASE("a chat template may lie in a file of its own", "[text][json]") {
  const TokenizerPtr first = elms_test::write_and_open("jinja", small_bpe());
  const std::string text = "{{ messages }}";
  elms_test::write_bytes(elms_test::scratch_path("jinja") + "/chat_template.jinja",
                         {text.begin(), text.end()});
  CHECK(
      elms_test::open_json_tokenizer(elms_test::scratch_path("jinja") + "/tokenizer.json")->chat_template() ==
      text);
}

TEST_CASE("components that elms does not do exactly are refused by name", "[text][json]") {
  const auto refuse = [](const char* pointer, const json& value, const std::string& what) {
    check_refused(with(pointer, value), StatusCode::kUnsupported, what);
  };
  refuse("/model/type", "Unigram", "'Unigram'");
  refuse("/model/dropout", 0.1, "dropout");
  refuse("/model/end_of_word_suffix", "</w>", "end_of_word_suffix");
  refuse("/model/continuing_subword_prefix", "@@", "continuing_subword_prefix");
  refuse("/model/byte_fallback", true, "byte_fallback");
  refuse("/normalizer", {{"type", "Precompiled"}}, "'Precompiled'");
  refuse("/normalizer", {{"type", "Replace"}, {"pattern", {{"Regex", " +"}}}, {"content", " "}}, "Regex");
  refuse("/pre_tokenizer", {{"type", "Whitespace"}}, "'Whitespace'");
  refuse("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "\\w+"}}}, {"behavior", "Isolated"}},
         "\\w+");
  refuse("/pre_tokenizer",
         {{"type", "Split"}, {"pattern", {{"Regex", "\\p{N}"}}}, {"behavior", "MergedWithNext"}},
         "MergedWithNext");
  refuse("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "_"}}, "'_'");
  refuse("/pre_tokenizer",
         {{"type", "Sequence"}, {"pretokenizers", json::array({byte_level(), {{"type", "Digits"}}})}},
         "'Digits' after ByteLevel");
  refuse(
      "/pre_tokenizer",
      {{"type", "Sequence"}, {"pretokenizers", json::array({{{"type", "Digits"}}, byte_level(false, true)})}},
      "spaces");
  refuse("/post_processor", {{"type", "Magic"}}, "'Magic'");
  refuse("/post_processor", {{"type", "TemplateProcessing"}, {"single", json::array()}}, "0 texts");
  refuse("/decoder", {{"type", "BPEDecoder"}}, "'BPEDecoder'");
  refuse("/decoder", {{"type", "Metaspace"}}, "does not undo");
  refuse("/decoder", nullptr, "decoder");
  json single_word = added(7, "<tool>", false);
  single_word["single_word"] = true;
  refuse("/added_tokens/1", single_word, "single_word");
}

TEST_CASE("a tokenizer.json that contradicts itself is malformed", "[text][json]") {
  const auto malformed = [](const char* pointer, const json& value, const std::string& what) {
    check_refused(with(pointer, value), StatusCode::kMalformedFile, what);
  };
  malformed("/model/vocab", json::array(), "model.vocab");
  malformed("/model/vocab/ab", "x", "model.vocab.ab");
  malformed("/model/vocab/ab", -1, "model.vocab.ab");
  malformed("/model/vocab/ab", 1e300, "model.vocab.ab");
  malformed("/model/vocab/ab", 4000000000u, "model.vocab.ab");
  malformed("/model/vocab/ab", 1, "too");
  malformed("/model/merges", 3, "model.merges");
  malformed("/model/merges/0", "ab", "model.merges");
  malformed("/model/merges/0", json::array({"a"}), "model.merges");
  malformed("/model/merges/0", json::array({"a", 1}), "model.merges");
  malformed("/model/merges/0", "a Ġ", "not in the vocabulary");
  malformed("/model/unk_token", "?", "unk_token");
  malformed("/model/fuse_unk", "yes", "fuse_unk");
  malformed("/added_tokens/0/id", "6", "added_tokens[0].id");
  malformed("/added_tokens/0/content", 5, "added_tokens[0].content");
  malformed("/added_tokens/0", 5, "added_tokens[0]");
  malformed("/added_tokens/0/content", "ab", "two ids");
  malformed("/normalizer", {{"type", "Replace"}, {"pattern", {{"String", ""}}}, {"content", " "}}, "String");
  malformed("/pre_tokenizer/use_regex", 3, "use_regex");
  malformed("/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", 7}}, "pretokenizers");
  malformed("/post_processor", {{"type", "BertProcessing"}, {"cls", json::array({"a", 99})}}, "cls");
  check_refused("{}", StatusCode::kMalformedFile, "model");
  check_refused("", StatusCode::kMalformedFile, "JSON");
  check_refused("[1, 2]", StatusCode::kMalformedFile, "object");
  check_refused("{\"model\": {\"vocab\": {\"a\": 0}", StatusCode::kMalformedFile, "JSON");
  check_refused("{\"a\": \"\xFF\"}", StatusCode::kMalformedFile, "JSON");
  check_refused(std::string(100000, '['), StatusCode::kMalformedFile, "deep");
}

TEST_CASE("files that are missing", "[text][json]") {
  const auto tokenizer =
      elms::Tokenizer::from_tokenizer_json(elms_test::scratch_path("no/such/tokenizer.json"));
  REQUIRE_FALSE(tokenizer.has_value());
  CHECK(tokenizer.error().code() == StatusCode::kNotFound);
  CHECK(tokenizer.error().message().find("no/such/tokenizer.json") != std::string::npos);
}

TEST_CASE("every prefix of a tokenizer.json is an error, never a crash", "[text][json]") {
  const std::string text = small_bpe().dump();
  for (std::size_t size = 0; size < text.size(); ++size) {
    CHECK_FALSE(elms::Tokenizer::from_tokenizer_json(write_json(text.substr(0, size))).has_value());
  }
  CHECK(elms::Tokenizer::from_tokenizer_json(write_json(text)).has_value());
}
