#include "elms/detail/error.hpp"
#include "elms/detail/file_mapping.hpp"
#include "tokenizer_json.hpp"

namespace elms::inline v0::detail {
namespace {

constexpr std::uint64_t kMaxTokenizerConfigBytes = std::uint64_t{16} << 20;

std::string path_beside(const std::string& path, const char* name) {
#if defined(_WIN32)
  constexpr const char* kSeparators = "/\\";
#else
  constexpr const char* kSeparators = "/";
#endif
  const std::size_t separator = path.find_last_of(kSeparators);
  return (separator == path.npos ? std::string() : path.substr(0, separator + 1)) + name;
}

/// A token by its text, which is a string or an object with the string `content`; kNoToken when there is
/// none.
Result<TokenId> find_token(const JsonObject& config, std::string_view key, const Vocabulary& vocabulary) {
  const nlohmann::json* value = config.find(key);
  if (value == nullptr) return kNoToken;
  if (!value->is_object()) {
    ELMS_ASSIGN_OR_RETURN(const std::string_view text, config.string(key));
    return vocabulary.tokens.find(text);
  }
  ELMS_ASSIGN_OR_RETURN(const JsonObject token, config.object(key));
  ELMS_ASSIGN_OR_RETURN(const std::string_view text, token.string("content"));
  return vocabulary.tokens.find(text);
}

/// A template, or the one called "default" of several.
Result<std::string_view> find_chat_template(const JsonObject& config) {
  const nlohmann::json* value = config.find("chat_template");
  if (value == nullptr || !value->is_array()) return string_or(config, "chat_template", "");
  ELMS_ASSIGN_OR_RETURN(const auto* named, array_of(config, "chat_template"));
  for (std::size_t i = 0; i < named->size(); ++i) {
    const JsonObject entry = element_of(config, "chat_template", *named, i);
    ELMS_ASSIGN_OR_RETURN(const std::string_view name, entry.string("name"));
    if (name == "default") return entry.string("template");
  }
  return std::string_view();
}

/// The tokenizer classes of the SentencePiece family build their BOS/EOS template from the flags of the
/// config.
Result<bool> flags_rule_template(const JsonObject& config) {
  ELMS_ASSIGN_OR_RETURN(std::string_view name, string_or(config, "tokenizer_class", ""));
  if (name.ends_with("Fast")) name.remove_suffix(4);
  return name == "LlamaTokenizer" || name == "CodeLlamaTokenizer" || name == "GemmaTokenizer";
}

Status read_end(const JsonObject& config, std::string_view key, TokenId token, std::vector<TokenId>& end) {
  if (!config.has(key) || token == kNoToken) return {};
  ELMS_ASSIGN_OR_RETURN(const bool wanted, config.boolean(key));
  end.clear();
  if (wanted) end.push_back(token);
  return {};
}

/// Newer checkpoints keep the template in a file of its own.
Status read_template_file(const std::string& path, Vocabulary& vocabulary) {
  const auto file = FileMapping::open(path);
  if (!file.has_value()) return file.error().code() == StatusCode::kNotFound ? Status() : file.error();
  const auto bytes = file->bytes();
  if (bytes.size() > kMaxTokenizerConfigBytes) {
    return malformed(path, ": expected at most ", kMaxTokenizerConfigBytes, " bytes, found ", bytes.size());
  }
  vocabulary.chat_template.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return {};
}

}  // namespace

Status read_tokenizer_config(const JsonObject& config, Vocabulary& vocabulary) {
  ELMS_ASSIGN_OR_RETURN(vocabulary.bos, find_token(config, "bos_token", vocabulary));
  ELMS_ASSIGN_OR_RETURN(vocabulary.eos, find_token(config, "eos_token", vocabulary));
  ELMS_ASSIGN_OR_RETURN(const TokenId cls, find_token(config, "cls_token", vocabulary));
  ELMS_ASSIGN_OR_RETURN(const TokenId sep, find_token(config, "sep_token", vocabulary));
  if (vocabulary.bos == kNoToken) vocabulary.bos = cls;
  if (vocabulary.eos == kNoToken) vocabulary.eos = sep;
  if (vocabulary.unk == kNoToken) {
    ELMS_ASSIGN_OR_RETURN(vocabulary.unk, find_token(config, "unk_token", vocabulary));
  }
  ELMS_ASSIGN_OR_RETURN(const bool flags_rule, flags_rule_template(config));
  if (flags_rule) {
    ELMS_RETURN_IF_ERROR(read_end(config, "add_bos_token", vocabulary.bos, vocabulary.prefix));
    ELMS_RETURN_IF_ERROR(read_end(config, "add_eos_token", vocabulary.eos, vocabulary.suffix));
  }
  ELMS_ASSIGN_OR_RETURN(vocabulary.chat_template, find_chat_template(config));
  return {};
}

Status read_files_beside(const std::string& tokenizer_path, Vocabulary& vocabulary) {
  const auto config = JsonFile::open(path_beside(tokenizer_path, "tokenizer_config.json"), kMaxTokenizerConfigBytes);
  if (config.has_value()) {
    ELMS_RETURN_IF_ERROR(read_tokenizer_config(config->top(), vocabulary));
  } else if (config.error().code() != StatusCode::kNotFound) {
    return config.error();
  }
  if (vocabulary.bos == kNoToken && !vocabulary.prefix.empty()) vocabulary.bos = vocabulary.prefix.front();
  if (vocabulary.eos == kNoToken && !vocabulary.suffix.empty()) vocabulary.eos = vocabulary.suffix.front();
  if (!vocabulary.chat_template.empty()) return {};
  return read_template_file(path_beside(tokenizer_path, "chat_template.jinja"), vocabulary);
}

}  // namespace elms::inline v0::detail
