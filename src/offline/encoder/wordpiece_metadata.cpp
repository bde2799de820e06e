#include "offline/encoder/wordpiece_metadata.hpp"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <unordered_map>

#include "elms/detail/error.hpp"
#include "elms/detail/file_mapping.hpp"
#include "elms/tokenizer.hpp"
#include "io/json_file.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::concat;
using detail::JsonFile;
using detail::JsonObject;

constexpr std::uint64_t kMaxTokenizerBytes = std::uint64_t{64} << 20;
constexpr std::string_view kWordStart = "\xE2\x96\x81";  // U+2581

bool file_exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

/// What GGUF has no key for must be as BERT has it.
Status require_true(const JsonObject& object, std::string_view key) {
  ELMS_ASSIGN_OR_RETURN(const bool value, object.boolean_or(key, true));
  return value ? Status() : detail::unsupported(object.at(key), ": GGUF has no words for false");
}

/// Flags that BertNormalizer and tokenizer_config.json name alike, but for the first.
Status read_flags(const JsonObject& object, std::string_view lowercase_key, std::string_view chinese_key,
                  WordPieceVocabulary& out) {
  ELMS_ASSIGN_OR_RETURN(out.lowercase, object.boolean_or(lowercase_key, true));
  ELMS_ASSIGN_OR_RETURN(out.strip_accents, object.boolean_or("strip_accents", out.lowercase));
  return require_true(object, chinese_key);
}

Status read_lines(const std::string& path, WordPieceVocabulary& out) {
  ELMS_ASSIGN_OR_RETURN(const detail::FileMapping mapping, detail::FileMapping::open(path));
  const std::string_view text(reinterpret_cast<const char*>(mapping.bytes().data()), mapping.bytes().size());
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    out.tokens.emplace_back(line);
    begin = end + 1;
  }
  return {};
}

Result<WordPieceVocabulary> read_vocab_txt(const std::string& directory, const std::string& path) {
  WordPieceVocabulary out;
  out.source = path;
  ELMS_RETURN_IF_ERROR(read_lines(path, out));
  if (const std::string config = directory + "/tokenizer_config.json"; file_exists(config)) {
    ELMS_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::open(config, kMaxTokenizerBytes));
    ELMS_RETURN_IF_ERROR(read_flags(file.top(), "do_lower_case", "tokenize_chinese_chars", out));
  }
  return out;
}

Result<WordPieceVocabulary> read_json(const std::string& path) {
  ELMS_ASSIGN_OR_RETURN(const auto tokenizer, Tokenizer::from_tokenizer_json(path));
  if (tokenizer->model() != "bert") {
    return detail::unsupported(path, ": expected a WordPiece tokenizer, found ", tokenizer->model());
  }
  WordPieceVocabulary out;
  out.source = path;
  for (TokenId id = 0; id < tokenizer->n_vocab(); ++id) out.tokens.emplace_back(tokenizer->token_text(id));
  ELMS_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::open(path, kMaxTokenizerBytes));
  ELMS_ASSIGN_OR_RETURN(const JsonObject normalizer, file.top().object("normalizer"));
  ELMS_ASSIGN_OR_RETURN(const std::string_view type, normalizer.string("type"));
  if (type != "BertNormalizer") {
    return detail::unsupported(normalizer.at("type"), ": expected BertNormalizer, found ", type);
  }
  ELMS_RETURN_IF_ERROR(require_true(normalizer, "clean_text"));
  ELMS_RETURN_IF_ERROR(read_flags(normalizer, "lowercase", "handle_chinese_chars", out));
  return out;
}

/// Key and token of what a BERT vocabulary marks; the first three must be there.
struct SpecialToken {
  const char* key;
  std::string_view text;
};
constexpr SpecialToken kSpecial[] = {{"tokenizer.ggml.cls_token_id", "[CLS]"},
                                     {"tokenizer.ggml.seperator_token_id", "[SEP]"},  // sic
                                     {"tokenizer.ggml.unknown_token_id", "[UNK]"},
                                     {"tokenizer.ggml.padding_token_id", "[PAD]"},
                                     {"tokenizer.ggml.mask_token_id", "[MASK]"}};
constexpr std::size_t kNeeded = 3;

bool is_special(std::string_view token) {
  return std::any_of(std::begin(kSpecial), std::end(kSpecial),
                     [&](const SpecialToken& special) { return special.text == token; });
}

std::string gguf_text(const std::string& token) {
  if (is_special(token)) return token;
  if (token.starts_with("##") && token.size() > 2) return token.substr(2);
  return concat(kWordStart, token);
}

}  // namespace

Result<WordPieceVocabulary> read_wordpiece(const std::string& directory) {
  if (const std::string json = directory + "/tokenizer.json"; file_exists(json)) return read_json(json);
  if (const std::string lines = directory + "/vocab.txt"; file_exists(lines))
    return read_vocab_txt(directory, lines);
  return detail::error(StatusCode::kNotFound, directory, ": expected tokenizer.json or vocab.txt");
}

Status write_wordpiece(const WordPieceVocabulary& vocabulary, std::int32_t n_token_types,
                       detail::GgufWriter& writer) {
  constexpr std::int32_t kNormal = 1, kControl = 3;
  std::vector<std::string> texts;
  std::vector<std::int32_t> types;
  std::unordered_map<std::string_view, std::uint32_t> ids;
  for (const std::string& token : vocabulary.tokens) {
    if (token.empty()) return detail::malformed(vocabulary.source, ": token ", texts.size(), " is empty");
    if (!ids.emplace(token, static_cast<std::uint32_t>(texts.size())).second) {
      return detail::malformed(vocabulary.source, ": '", token, "' is there twice, the second at ",
                               texts.size());
    }
    texts.push_back(gguf_text(token));
    types.push_back(is_special(token) ? kControl : kNormal);
  }
  writer.set("tokenizer.ggml.model", "bert");
  writer.set("tokenizer.ggml.pre", "default");
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  writer.set("tokenizer.ggml.tokens", std::span<const std::string_view>(views));
  writer.set("tokenizer.ggml.token_type", std::span<const std::int32_t>(types));
  writer.set("tokenizer.ggml.token_type_count", static_cast<std::uint32_t>(n_token_types));
  writer.set("tokenizer.ggml.normalizer.lowercase", vocabulary.lowercase);
  writer.set("tokenizer.ggml.normalizer.strip_accents", vocabulary.strip_accents);
  for (const SpecialToken& special : kSpecial) {
    const auto found = ids.find(special.text);
    if (found != ids.end()) {
      writer.set(special.key, found->second);
    } else if (&special - kSpecial < static_cast<std::ptrdiff_t>(kNeeded)) {
      return detail::malformed(vocabulary.source, ": there is no token ", special.text);
    }
  }
  if (const auto cls = ids.find("[CLS]"); cls != ids.end())
    writer.set("tokenizer.ggml.bos_token_id", cls->second);
  return {};
}

}  // namespace elms::inline v0::offline
