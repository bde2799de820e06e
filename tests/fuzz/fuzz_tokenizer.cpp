// Hostile tokenizer files, and any bytes as text. The first byte of an input chooses:
//   'J'  the rest is a tokenizer.json (what follows a zero byte: a tokenizer_config.json)
//   'G'  the rest is a GGUF file
//   else which good vocabulary gets the rest as text
// Whatever opens must encode any text to ids that exist, and decode any ids to well-formed text, at once and
// streamed.
#include <string>
#include <vector>

#include "elms/detail/gguf.hpp"
#include "elms/tokenizer.hpp"
#include "tests/fuzz/fuzz_targets.hpp"
#include "text/text_tokenizer.hpp"
#include "text/tokenizer_json.hpp"
#include "text/unicode.hpp"

using namespace elms;          // NOLINT
using namespace elms::detail;  // NOLINT

namespace {

using elms_test::require;

void check_decoding(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, bool special) {
  const std::string text = tokenizer.decode(ids, special);
  std::string well_formed;
  append_well_formed(well_formed, text);
  require(well_formed == text, "text is well-formed");
  StreamDecoder stream(tokenizer, special);
  std::string streamed;
  for (const TokenId id : ids) streamed += stream.push(id);
  streamed += stream.finish();
  require(streamed == text, "a stream gives the same text");
}

void check_text(const Tokenizer& tokenizer, std::string_view text) {
  for (const bool parse_special : {false, true}) {
    const std::vector<TokenId> ids = tokenizer.encode(text, {.parse_special = parse_special});
    for (const TokenId id : ids) require(id >= 0 && id < tokenizer.n_vocab(), "ids are in the vocabulary");
    check_decoding(tokenizer, ids, parse_special);
  }
  std::vector<TokenId> any_ids;
  for (const char c : text) any_ids.push_back(static_cast<signed char>(c));
  check_decoding(tokenizer, any_ids, false);
}

void check_json(std::string_view input) {
  const std::size_t zero = input.find('\0');
  const auto file = JsonFile::parse(input.substr(0, zero), "tokenizer.json");
  if (!file.has_value()) return;
  auto vocabulary = read_vocabulary(file->top(), "tokenizer.json");
  if (!vocabulary.has_value()) {
    require(vocabulary.error().message().find("tokenizer.json") != std::string::npos,
            "every error names the file");
    return;
  }
  if (zero != input.npos) {
    const auto config = JsonFile::parse(input.substr(zero + 1), "config");
    if (!config.has_value() || !read_tokenizer_config(config->top(), *vocabulary).ok()) return;
  }
  if (!finish_vocabulary(*vocabulary, "tokenizer.json").ok()) return;
  check_text(*make_tokenizer(std::move(*vocabulary)), input);
}

void check_gguf(std::string_view input) {
  const auto file =
      GgufFile::parse({reinterpret_cast<const std::uint8_t*>(input.data()), input.size()}, "fuzz.gguf");
  if (!file.has_value()) return;
  const auto tokenizer = Tokenizer::from_gguf(*file);
  if (tokenizer.has_value()) {
    check_text(**tokenizer, input);
  } else {
    require(tokenizer.error().message().find("fuzz.gguf") != std::string::npos, "every error names the file");
  }
}

/// All bytes, and merges that make words of some letters.
std::shared_ptr<const Tokenizer> make_byte_level(const char* pre_tokenizer) {
  Vocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.algorithm = Vocabulary::Algorithm::kRankedMerges;
  vocabulary.writing = Vocabulary::Writing::kByteLevel;
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::string text;
    append_utf8(text, byte_level_char(static_cast<unsigned char>(byte)));
    vocabulary.tokens.append(text, TokenType::kNormal);
  }
  const std::vector<std::pair<std::string, std::string>> merges = {
      {"a", "b"}, {"Ġ", "ab"}, {"a", "a"}, {"aa", "aa"}, {"'", "s"}, {"Ã", "©"}, {"Ġ", "Ġ"}, {"1", "2"}};
  for (const auto& [left, right] : merges) vocabulary.tokens.append(left + right, TokenType::kNormal);
  vocabulary.tokens.append("<|x|>", TokenType::kControl);
  vocabulary.added.push_back({.id = static_cast<TokenId>(vocabulary.tokens.size() - 1)});
  require(vocabulary.tokens.index() == kNoToken, "the good vocabulary is good");
  std::string scratch;
  for (const auto& [left, right] : merges)
    require(append_merge(vocabulary, left, right, 0, scratch).ok(), "the good vocabulary is good");
  const auto named = find_pre_tokenizer(pre_tokenizer);
  vocabulary.pre_tokenizer.steps.assign(named->steps.begin(), named->steps.end());
  require(finish_vocabulary(vocabulary, "good").ok(), "the good vocabulary is good");
  return make_tokenizer(std::move(vocabulary));
}

std::shared_ptr<const Tokenizer> make_llama() {
  Vocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.tokens.append("<unk>", TokenType::kUnknown);
  vocabulary.tokens.append("<s>", TokenType::kControl);
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto hex = hex_token_of_byte(static_cast<unsigned char>(byte));
    vocabulary.tokens.append({hex.data(), hex.size()}, TokenType::kByte);
  }
  for (const char* text : {"▁", "a", "b", "ab", "▁a", "▁ab", "▁▁", "▁▁▁▁", "é", "aé", "🙂", "aa", "aaaa"}) {
    vocabulary.tokens.append(text, TokenType::kNormal);
  }
  vocabulary.tokens.append("[u]", TokenType::kUserDefined);
  require(vocabulary.tokens.index() == kNoToken, "the good vocabulary is good");
  vocabulary.added = {{.id = 1},
                      {.id = static_cast<TokenId>(vocabulary.tokens.size() - 1), .strip_right = true}};
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i)
    vocabulary.scores.push_back(static_cast<float>(i % 5));
  vocabulary.unk = 0;
  vocabulary.normalizer = {{.kind = NormalizerStep::Kind::kPrepend, .text = "▁"},
                           {.kind = NormalizerStep::Kind::kReplace, .text = " ", .replacement = "▁"}};
  vocabulary.strip_leading_space = true;
  require(finish_vocabulary(vocabulary, "good").ok(), "the good vocabulary is good");
  return make_tokenizer(std::move(vocabulary));
}

std::shared_ptr<const Tokenizer> make_bert() {
  Vocabulary vocabulary;
  vocabulary.model = "bert";
  vocabulary.algorithm = Vocabulary::Algorithm::kWordPiece;
  vocabulary.writing = Vocabulary::Writing::kWordPiece;
  vocabulary.tokens.append("[UNK]", TokenType::kUnknown);
  vocabulary.tokens.append("[CLS]", TokenType::kControl);
  for (const char* text : {"a", "##a", "##b", "ab", "'", "s", "n", "t", "##'", "n't", ".", ",", "!", "?",
                           "ve", "re", "m", "e"}) {
    vocabulary.tokens.append(text, TokenType::kNormal);
  }
  require(vocabulary.tokens.index() == kNoToken, "the good vocabulary is good");
  vocabulary.unk = 0;
  vocabulary.continuation_prefix = "##";
  vocabulary.prefix = {1};
  vocabulary.normalizer = bert_normalizer(true, true, true, true);
  vocabulary.pre_tokenizer.steps = {{.kind = SplitStep::Kind::kBert}};
  vocabulary.strip_leading_space = true;
  vocabulary.clean_up_spaces = true;
  require(finish_vocabulary(vocabulary, "good").ok(), "the good vocabulary is good");
  return make_tokenizer(std::move(vocabulary));
}

void check_good_vocabulary(std::uint8_t which, std::string_view text) {
  static const std::vector<std::shared_ptr<const Tokenizer>> kGood = {make_byte_level("gpt-2"),
                                                                      make_byte_level("llama-bpe"),
                                                                      make_byte_level("qwen35"),
                                                                      make_byte_level("deepseek-coder"),
                                                                      make_byte_level("deepseek-v3"),
                                                                      make_byte_level("default"),
                                                                      make_llama(),
                                                                      make_bert()};
  const Tokenizer& tokenizer = *kGood[which % kGood.size()];
  check_text(tokenizer, text);
  if (tokenizer.model() != "gpt2") return;
  std::string bytes;
  for (const TokenId id : tokenizer.encode(text)) bytes += tokenizer.token_bytes(id);
  require(bytes == text, "the tokens' bytes are the text");
}

}  // namespace

void elms_test::fuzz_tokenizer(FuzzBytes bytes) {
  if (bytes.empty()) return;
  const std::string_view rest = as_text(bytes.subspan(1));
  if (bytes[0] == 'J') {
    check_json(rest);
  } else if (bytes[0] == 'G') {
    check_gguf(rest);
  } else {
    check_good_vocabulary(bytes[0], rest);
  }
}
