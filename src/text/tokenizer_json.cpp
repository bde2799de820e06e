#include "tokenizer_json.hpp"

#include <algorithm>

#include "elms/detail/error.hpp"
#include "elms/tokenizer.hpp"
#include "text_tokenizer.hpp"

namespace elms::inline v0::detail {
namespace {

using nlohmann::json;

/// The largest published file has 36 MB.
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{256} << 20;

class TokenizerJsonReader {
 public:
  TokenizerJsonReader(const JsonObject& top, std::string_view file) : top_(top), file_(file) {}

  Result<Vocabulary> read() {
    ELMS_ASSIGN_OR_RETURN(const JsonObject model, top_.object("model"));
    ELMS_RETURN_IF_ERROR(read_algorithm(model));
    ELMS_RETURN_IF_ERROR(read_tokens(model));
    ELMS_RETURN_IF_ERROR(read_unknown(model));
    ELMS_RETURN_IF_ERROR(read_normalizer(top_, vocabulary_));
    ELMS_RETURN_IF_ERROR(read_pre_tokenizer(top_, vocabulary_));
    if (vocabulary_.algorithm == Vocabulary::Algorithm::kRankedMerges) {
      ELMS_RETURN_IF_ERROR(read_bpe(model));
    } else {
      ELMS_RETURN_IF_ERROR(read_word_piece(model));
    }
    ELMS_RETURN_IF_ERROR(read_post_processor(top_, vocabulary_));
    ELMS_RETURN_IF_ERROR(read_decoder(top_, vocabulary_));
    return std::move(vocabulary_);
  }

 private:
  Status read_algorithm(const JsonObject& model) {
    ELMS_ASSIGN_OR_RETURN(const auto type,
                          string_or(model, "type", model.has("merges") ? "BPE" : "WordPiece"));
    if (type == "BPE") {
      vocabulary_.algorithm = Vocabulary::Algorithm::kRankedMerges;
      vocabulary_.writing = Vocabulary::Writing::kMarkedSpaces;
    } else if (type == "WordPiece") {
      vocabulary_.algorithm = Vocabulary::Algorithm::kWordPiece;
      vocabulary_.writing = Vocabulary::Writing::kWordPiece;
    } else {
      return unsupported(model.at("type"), ": '", type, "'; elms reads BPE and WordPiece");
    }
    return {};
  }

  Status read_tokens(const JsonObject& model) {
    ELMS_ASSIGN_OR_RETURN(const JsonObject vocab, model.object("vocab"));
    const auto& tokens = *vocab.value().get_ptr<const json::object_t*>();
    const json::array_t none;
    const json::array_t* added = &none;
    if (top_.has("added_tokens")) {
      ELMS_ASSIGN_OR_RETURN(added, array_of(top_, "added_tokens"));
    }
    ELMS_RETURN_IF_ERROR(make_room(vocab, tokens, *added));
    for (const auto& [text, id] : tokens) {
      ELMS_RETURN_IF_ERROR(set_token(id_of(id), text, TokenType::kNormal, vocab, text));
    }
    for (std::size_t i = 0; i < added->size(); ++i) {
      ELMS_RETURN_IF_ERROR(read_added(element_of(top_, "added_tokens", *added, i)));
    }
    const TokenId twin = vocabulary_.tokens.index();
    if (twin == kNoToken) return {};
    return malformed(file_, ": the token '", vocabulary_.tokens.text(twin), "' has two ids, one of them ",
                     twin);
  }

  /// Checks all ids. Tokens that were cut out of a vocabulary leave gaps, but no file is mostly gaps: so a
  /// small file cannot ask for much memory.
  Status make_room(const JsonObject& vocab, const json::object_t& tokens, const json::array_t& added) {
    const std::size_t n = tokens.size() + added.size();
    const std::size_t end = std::min<std::size_t>(n * 4 + 1024, std::size_t{1} << 30);
    TokenId last = kNoToken;
    for (const auto& [text, id] : tokens) {
      if (!is_token_id(&id, end)) return malformed(vocab.at(text), ": expected an id below ", end);
      last = std::max(last, id_of(id));
    }
    for (std::size_t i = 0; i < added.size(); ++i) {
      const JsonObject token = element_of(top_, "added_tokens", added, i);
      if (!is_token_id(token.find("id"), end))
        return malformed(token.at("id"), ": expected an id below ", end);
      last = std::max(last, id_of(*token.find("id")));
    }
    if (last == kNoToken) return malformed(file_, ": the vocabulary is empty");
    vocabulary_.tokens.resize(static_cast<std::size_t>(last) + 1);
    return {};
  }

  /// Of a value that is_token_id() has passed.
  static TokenId id_of(const json& value) noexcept {
    return static_cast<TokenId>(*value.get_ptr<const json::number_unsigned_t*>());
  }

  Status set_token(TokenId id, std::string_view text, TokenType type, const JsonObject& object,
                   std::string_view key) {
    const std::string_view old = vocabulary_.tokens.text(id);
    if (!old.empty() && old != text)
      return malformed(object.at(key), ": '", old, "' has the id ", id, " too");
    vocabulary_.tokens.set(id, text, type);
    return {};
  }

  Status read_added(const JsonObject& token) {
    ELMS_ASSIGN_OR_RETURN(const std::string_view content, token.string("content"));
    ELMS_ASSIGN_OR_RETURN(const bool single_word, token.boolean_or("single_word", false));
    ELMS_ASSIGN_OR_RETURN(const bool special, token.boolean_or("special", false));
    AddedToken added{.id = id_of(*token.find("id"))};
    ELMS_ASSIGN_OR_RETURN(added.strip_left, token.boolean_or("lstrip", false));
    ELMS_ASSIGN_OR_RETURN(added.strip_right, token.boolean_or("rstrip", false));
    ELMS_ASSIGN_OR_RETURN(added.normalized, token.boolean_or("normalized", !special));
    if (single_word) return unsupported(token.at("single_word"), ": true, for '", content, "'");
    vocabulary_.added.push_back(added);
    return set_token(added.id, content, special ? TokenType::kControl : TokenType::kUserDefined, token, "id");
  }

  Status read_unknown(const JsonObject& model) {
    if (!model.has("unk_token")) return {};
    ELMS_ASSIGN_OR_RETURN(const std::string_view text, model.string("unk_token"));
    vocabulary_.unk = vocabulary_.tokens.find(text);
    if (vocabulary_.unk == kNoToken)
      return malformed(model.at("unk_token"), ": '", text, "' is not in the vocabulary");
    if (vocabulary_.tokens.type(vocabulary_.unk) == TokenType::kNormal) {
      vocabulary_.tokens.set_type(vocabulary_.unk, TokenType::kUnknown);
    }
    return {};
  }

  Status read_bpe(const JsonObject& model) {
    const bool byte_level = vocabulary_.writing == Vocabulary::Writing::kByteLevel;
    vocabulary_.model = byte_level ? "gpt2" : "llama";
    ELMS_ASSIGN_OR_RETURN(const double dropout, model.real_or("dropout", 0));
    if (dropout != 0) return unsupported(model.at("dropout"), ": ", dropout);
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      ELMS_ASSIGN_OR_RETURN(const auto affix, string_or(model, key, ""));
      if (!affix.empty()) return unsupported(model.at(key), ": '", affix, "'");
    }
    ELMS_ASSIGN_OR_RETURN(vocabulary_.fuse_unknown, model.boolean_or("fuse_unk", false));
    ELMS_ASSIGN_OR_RETURN(vocabulary_.byte_fallback, model.boolean_or("byte_fallback", false));
    ELMS_ASSIGN_OR_RETURN(vocabulary_.ignore_merges, model.boolean_or("ignore_merges", false));
    if (vocabulary_.byte_fallback) {
      if (byte_level) return unsupported(model.at("byte_fallback"), ": true, together with ByteLevel");
      mark_byte_tokens();
    }
    return read_merges(model);
  }

  void mark_byte_tokens() {
    for (unsigned byte = 0; byte < 256; ++byte) {
      const auto hex = hex_token_of_byte(static_cast<unsigned char>(byte));
      const TokenId id = vocabulary_.tokens.find({hex.data(), hex.size()});
      if (id != kNoToken) vocabulary_.tokens.set_type(id, TokenType::kByte);
    }
  }

  Status read_merges(const JsonObject& model) {
    ELMS_ASSIGN_OR_RETURN(const json::array_t* merges, array_of(model, "merges"));
    std::string scratch;
    for (std::size_t i = 0; i < merges->size(); ++i) {
      std::string_view left;
      std::string_view right;
      if (!split_merge((*merges)[i], left, right)) {
        return malformed(model.at("merges"), "[", i, "]: expected \"a b\" or [\"a\", \"b\"]");
      }
      const Status status = append_merge(vocabulary_, left, right, i, scratch);
      if (!status.ok()) return malformed(model.at("merges"), ": ", status.message());
    }
    return {};
  }

  /// "a b", or ["a", "b"], which newer files use because tokens may hold spaces.
  static bool split_merge(const json& merge, std::string_view& left, std::string_view& right) noexcept {
    if (const auto* string = merge.get_ptr<const json::string_t*>()) {
      const std::string_view text = *string;
      const std::size_t space = text.find(' ');
      if (space == text.npos || text.find(' ', space + 1) != text.npos) return false;
      left = text.substr(0, space);
      right = text.substr(space + 1);
      return true;
    }
    const auto* pair = merge.get_ptr<const json::array_t*>();
    if (pair == nullptr || pair->size() != 2) return false;
    const auto* first = (*pair)[0].get_ptr<const json::string_t*>();
    const auto* second = (*pair)[1].get_ptr<const json::string_t*>();
    if (first == nullptr || second == nullptr) return false;
    left = *first;
    right = *second;
    return true;
  }

  Status read_word_piece(const JsonObject& model) {
    vocabulary_.model = "bert";
    if (vocabulary_.writing != Vocabulary::Writing::kWordPiece) {
      return unsupported(model.at("type"), ": WordPiece with a pre_tokenizer of BPE models");
    }
    if (vocabulary_.unk == kNoToken) return malformed(model.at("unk_token"), " is missing");
    ELMS_ASSIGN_OR_RETURN(const auto prefix, string_or(model, "continuing_subword_prefix", "##"));
    if (prefix.empty()) return unsupported(model.at("continuing_subword_prefix"), ": ''");
    vocabulary_.continuation_prefix = prefix;
    ELMS_ASSIGN_OR_RETURN(const std::int32_t longest, model.count_or("max_input_chars_per_word", 100));
    vocabulary_.longest_word_chars = static_cast<std::size_t>(longest);
    return {};
  }

  const JsonObject& top_;
  std::string_view file_;
  Vocabulary vocabulary_;
};

}  // namespace

Result<const json::array_t*> array_of(const JsonObject& object, std::string_view key) {
  const json* value = object.find(key);
  if (value == nullptr) return error(StatusCode::kNotFound, object.at(key), " is missing");
  if (const auto* array = value->get_ptr<const json::array_t*>()) return array;
  return malformed(object.at(key), ": expected an array, found ", value->type_name());
}

JsonObject element_of(const JsonObject& object, std::string_view key, const json::array_t& array,
                      std::size_t i) {
  return {array[i], concat(object.at(key), "[", i, "].")};
}

Result<std::string_view> string_or(const JsonObject& object, std::string_view key,
                                   std::string_view otherwise) {
  if (!object.has(key)) return otherwise;
  return object.string(key);
}

bool is_token_id(const json* value, std::size_t end) noexcept {
  const auto* number = value == nullptr ? nullptr : value->get_ptr<const json::number_unsigned_t*>();
  return number != nullptr && *number < end;
}

Result<Vocabulary> read_vocabulary(const JsonObject& top, std::string_view file) {
  auto vocabulary = TokenizerJsonReader(top, file).read();
  // The file was found; it is what it lacks that makes it no tokenizer.
  if (vocabulary.error().code() == StatusCode::kNotFound) return malformed(vocabulary.error().message());
  return vocabulary;
}

Result<Vocabulary> read_tokenizer_json(const std::string& path) {
  ELMS_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::open(path, kMaxFileBytes));
  ELMS_ASSIGN_OR_RETURN(Vocabulary vocabulary, read_vocabulary(file.top(), path));
  ELMS_RETURN_IF_ERROR(read_files_beside(path, vocabulary));
  ELMS_RETURN_IF_ERROR(finish_vocabulary(vocabulary, path));
  return vocabulary;
}

}  // namespace elms::inline v0::detail

namespace elms::inline v0 {

Result<std::shared_ptr<const Tokenizer>> Tokenizer::from_tokenizer_json(const std::string& path) {
  return detail::or_out_of_memory([&]() -> Result<std::shared_ptr<const Tokenizer>> {
    ELMS_ASSIGN_OR_RETURN(auto vocabulary, detail::read_tokenizer_json(path));
    return detail::make_tokenizer(std::move(vocabulary));
  });
}

}  // namespace elms::inline v0
