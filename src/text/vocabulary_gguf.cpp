// The tokenizer that a GGUF file describes under `tokenizer.ggml.*`, with llama.cpp's defaults for what is
// missing.
#include <algorithm>
#include <optional>

#include "elms/detail/error.hpp"
#include "elms/detail/gguf.hpp"
#include "elms/tokenizer.hpp"
#include "text_tokenizer.hpp"

namespace elms::inline v0::detail {
namespace {

/// kNotFound becomes an empty optional; any other failure stays one.
template <typename T>
Result<std::optional<T>> optional_of(Result<T> result) {
  if (result.has_value()) return std::optional<T>(std::move(*result));
  if (result.error().code() == StatusCode::kNotFound) return std::optional<T>();
  return result.error();
}

class GgufReader {
 public:
  explicit GgufReader(const GgufFile& file) : file_(file) {}

  Result<Vocabulary> read() {
    ELMS_ASSIGN_OR_RETURN(const std::string_view model, file_.string("tokenizer.ggml.model"));
    if (model != "llama" && model != "gpt2" && model != "bert") {
      return unsupported(file_.name(), ": tokenizer.ggml.model is '", model,
                         "'; elms reads 'llama', 'gpt2' and 'bert'");
    }
    ELMS_RETURN_IF_ERROR(read_tokens());
    if (model == "llama") ELMS_RETURN_IF_ERROR(read_llama());
    if (model == "gpt2") ELMS_RETURN_IF_ERROR(read_gpt2());
    if (model == "bert") ELMS_RETURN_IF_ERROR(read_bert());
    ELMS_ASSIGN_OR_RETURN(auto chat_template, optional_of(file_.string("tokenizer.chat_template")));
    vocabulary_.chat_template = chat_template.value_or("");
    ELMS_RETURN_IF_ERROR(finish_vocabulary(vocabulary_, file_.name()));
    ELMS_RETURN_IF_ERROR(collect_added());
    return std::move(vocabulary_);
  }

 private:
  Status read_tokens() {
    ELMS_ASSIGN_OR_RETURN(const auto texts, file_.strings("tokenizer.ggml.tokens"));
    ELMS_ASSIGN_OR_RETURN(const auto types, optional_of(file_.integers("tokenizer.ggml.token_type")));
    if (types.has_value() && types->size() < texts.size()) {
      return malformed(file_.name(), ": tokenizer.ggml.token_type has ", types->size(),
                       " elements, tokenizer.ggml.tokens ", texts.size());
    }
    constexpr std::size_t kMaxTokens = std::size_t{1} << 30;
    if (texts.empty() || texts.size() > kMaxTokens) {
      return malformed(file_.name(), ": tokenizer.ggml.tokens has ", texts.size(), " elements");
    }
    has_types_ = types.has_value();
    for (std::size_t i = 0; i < texts.size(); ++i) {
      vocabulary_.tokens.append(texts[i], has_types_ ? type_of((*types)[i]) : TokenType::kNormal);
    }
    if (const TokenId twin = vocabulary_.tokens.index(); twin != kNoToken) {
      return malformed(file_.name(), ": tokenizer.ggml.tokens has '", vocabulary_.tokens.text(twin),
                       "' twice, the second at ", twin);
    }
    return {};
  }

  static TokenType type_of(std::int64_t value) noexcept {
    return value >= 1 && value <= 6 ? static_cast<TokenType>(value) : TokenType::kUnused;
  }

  Status read_llama() {
    vocabulary_.model = "llama";
    vocabulary_.algorithm = Vocabulary::Algorithm::kScoredMerges;
    vocabulary_.writing = Vocabulary::Writing::kMarkedSpaces;
    ELMS_ASSIGN_OR_RETURN(auto scores, optional_of(file_.reals("tokenizer.ggml.scores")));
    const std::size_t n = vocabulary_.tokens.size();
    if (scores.has_value() && scores->size() < n) {
      return malformed(file_.name(), ": tokenizer.ggml.scores has ", scores->size(),
                       " elements, tokenizer.ggml.tokens ", n);
    }
    vocabulary_.scores = scores.has_value() ? std::move(*scores) : std::vector<float>(n);
    vocabulary_.scores.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      if (vocabulary_.scores[i] != vocabulary_.scores[i]) {
        return malformed(file_.name(), ": tokenizer.ggml.scores is not a number at ", i);
      }
    }
    ELMS_ASSIGN_OR_RETURN(const bool prefix, flag("tokenizer.ggml.add_space_prefix", true));
    vocabulary_.strip_leading_space = prefix;
    using Step = NormalizerStep;
    if (prefix)
      vocabulary_.normalizer.push_back({.kind = Step::Kind::kPrepend, .text = std::string(kSpaceMarker)});
    vocabulary_.normalizer.push_back(
        {.kind = Step::Kind::kReplace, .text = " ", .replacement = std::string(kSpaceMarker)});
    ELMS_RETURN_IF_ERROR(read_ids(1, 2, 0));
    if (!has_types_) guess_types();
    return read_ends(true);
  }

  Status read_gpt2() {
    vocabulary_.model = "gpt2";
    vocabulary_.algorithm = Vocabulary::Algorithm::kRankedMerges;
    vocabulary_.writing = Vocabulary::Writing::kByteLevel;
    ELMS_ASSIGN_OR_RETURN(auto pre, optional_of(file_.string("tokenizer.ggml.pre")));
    const auto named = find_pre_tokenizer(pre.value_or("default"));
    if (!named.has_value()) {
      return unsupported(file_.name(), ": tokenizer.ggml.pre is '", *pre, "', which elms does not know");
    }
    vocabulary_.pre_tokenizer.steps.assign(named->steps.begin(), named->steps.end());
    vocabulary_.ignore_merges = named->ignore_merges;
    ELMS_RETURN_IF_ERROR(read_merges());
    ELMS_RETURN_IF_ERROR(read_ids(kNoToken, kNoToken, kNoToken));
    if (!has_types_) guess_types();
    return read_ends(named->add_bos);
  }

  Status read_merges() {
    ELMS_ASSIGN_OR_RETURN(const auto merges, file_.strings("tokenizer.ggml.merges"));
    std::string scratch;
    for (std::size_t i = 0; i < merges.size(); ++i) {
      const std::size_t space = merges[i].find(' ', 1);
      if (space == std::string_view::npos) {
        return malformed(file_.name(), ": tokenizer.ggml.merges[", i, "] is '", merges[i],
                         "', expected two parts");
      }
      const Status status =
          append_merge(vocabulary_, merges[i].substr(0, space), merges[i].substr(space + 1), i, scratch);
      if (!status.ok()) return malformed(file_.name(), ": tokenizer.ggml.merges: ", status.message());
    }
    return {};
  }

  Status read_bert() {
    vocabulary_.model = "bert";
    vocabulary_.algorithm = Vocabulary::Algorithm::kWordPiece;
    vocabulary_.writing = Vocabulary::Writing::kWordPiece;
    vocabulary_.word_prefix =
        kSpaceMarker;  // GGUF marks the tokens that begin a word, not those that continue one
    vocabulary_.strip_leading_space = true;
    vocabulary_.clean_up_spaces = true;
    ELMS_ASSIGN_OR_RETURN(const bool lowercase, flag("tokenizer.ggml.normalizer.lowercase", true));
    ELMS_ASSIGN_OR_RETURN(const bool strip_accents,
                          flag("tokenizer.ggml.normalizer.strip_accents", lowercase));
    vocabulary_.normalizer = bert_normalizer(true, true, strip_accents, lowercase);
    vocabulary_.pre_tokenizer.steps = {{.kind = SplitStep::Kind::kBert}};
    ELMS_RETURN_IF_ERROR(read_ids(101, kNoToken, 100));
    ELMS_ASSIGN_OR_RETURN(const TokenId cls, id("tokenizer.ggml.cls_token_id", vocabulary_.bos));
    ELMS_ASSIGN_OR_RETURN(const TokenId separator, id("tokenizer.ggml.seperator_token_id", 102));
    vocabulary_.bos = cls;
    if (vocabulary_.eos == kNoToken) vocabulary_.eos = separator;
    if (!has_types_) guess_types();
    ELMS_ASSIGN_OR_RETURN(const bool add_bos, flag("tokenizer.ggml.add_bos_token", true));
    ELMS_ASSIGN_OR_RETURN(const bool add_sep, flag("tokenizer.ggml.add_sep_token", true));
    if (add_bos && cls != kNoToken) vocabulary_.prefix = {cls};
    if (add_sep && separator != kNoToken) vocabulary_.suffix = {separator};
    return {};
  }

  Status read_ids(TokenId bos, TokenId eos, TokenId unk) {
    ELMS_ASSIGN_OR_RETURN(vocabulary_.bos, id("tokenizer.ggml.bos_token_id", bos));
    ELMS_ASSIGN_OR_RETURN(vocabulary_.eos, id("tokenizer.ggml.eos_token_id", eos));
    ELMS_ASSIGN_OR_RETURN(vocabulary_.unk, id("tokenizer.ggml.unknown_token_id", unk));
    for (const char* key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
      ELMS_ASSIGN_OR_RETURN(const TokenId end, id(key, kNoToken));
      if (end != kNoToken) vocabulary_.end_of_generation.push_back(end);
    }
    return {};
  }

  /// BOS and EOS around a text, where the file or the model's default says so.
  Status read_ends(bool default_add_bos) {
    ELMS_ASSIGN_OR_RETURN(const bool add_bos,
                          ends_flag("tokenizer.ggml.add_bos_token", default_add_bos, vocabulary_.bos));
    ELMS_ASSIGN_OR_RETURN(const bool add_eos,
                          ends_flag("tokenizer.ggml.add_eos_token", false, vocabulary_.eos));
    if (add_bos) vocabulary_.prefix = {vocabulary_.bos};
    if (add_eos) vocabulary_.suffix = {vocabulary_.eos};
    return {};
  }

  Result<bool> ends_flag(const char* key, bool fallback, TokenId token) const {
    ELMS_ASSIGN_OR_RETURN(const bool wanted, flag(key, fallback));
    if (!wanted || token != kNoToken) return wanted;
    if (file_.find(key) == nullptr) return false;
    return malformed(file_.name(), ": ", key, " is true, but the file names no such token");
  }

  Result<bool> flag(const char* key, bool fallback) const {
    ELMS_ASSIGN_OR_RETURN(const auto value, optional_of(file_.boolean(key)));
    return value.value_or(fallback);
  }

  /// A token's id; -1, also when it was written as an unsigned number, means that there is none.
  Result<TokenId> id(const char* key, TokenId fallback) const {
    ELMS_ASSIGN_OR_RETURN(const auto value, optional_of(file_.integer(key)));
    if (!value.has_value()) return vocabulary_.tokens.contains(fallback) ? fallback : kNoToken;
    if (*value == -1 || *value == 0xFFFFFFFF) return kNoToken;
    if (*value < 0 || static_cast<std::uint64_t>(*value) >= vocabulary_.tokens.size()) {
      return malformed(file_.name(), ": ", key, " is ", *value, ", the vocabulary has ",
                       vocabulary_.tokens.size(), " tokens");
    }
    return static_cast<TokenId>(*value);
  }

  /// For files without token types.
  void guess_types() {
    TokenList& tokens = vocabulary_.tokens;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const auto token = static_cast<TokenId>(i);
      if (byte_of_hex_token(tokens.text(token)) >= 0) tokens.set_type(token, TokenType::kByte);
    }
    if (vocabulary_.unk != kNoToken) tokens.set_type(vocabulary_.unk, TokenType::kUnknown);
    for (const TokenId end : {vocabulary_.bos, vocabulary_.eos}) {
      if (end != kNoToken) tokens.set_type(end, TokenType::kControl);
    }
  }

  Status collect_added() {
    ELMS_ASSIGN_OR_RETURN(const auto name, optional_of(file_.string("general.name")));
    const bool phi3 = is_phi3(name.value_or(""));
    const TokenList& tokens = vocabulary_.tokens;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const auto token = static_cast<TokenId>(i);
      const TokenType type = tokens.type(token);
      if (type != TokenType::kControl && type != TokenType::kUserDefined && type != TokenType::kUnknown)
        continue;
      const std::string_view text = tokens.text(token);
      const bool strip_right = phi3 && text != "<unk>" && text != "<s>" && text != "<|endoftext|>";
      vocabulary_.added.push_back({.id = token, .strip_right = strip_right});
    }
    return {};
  }

  /// Phi-3's added tokens swallow the whitespace after them, which GGUF has no key for; llama.cpp goes by the
  /// name too.
  static bool is_phi3(std::string_view name) {
    std::string lower(name);
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    return lower.find("phi-3") != lower.npos || lower.find("phi3") != lower.npos;
  }

  const GgufFile& file_;
  Vocabulary vocabulary_;
  bool has_types_ = false;
};

}  // namespace
}  // namespace elms::inline v0::detail

namespace elms::inline v0 {

Result<std::shared_ptr<const Tokenizer>> Tokenizer::from_gguf(const detail::GgufFile& file) {
  auto vocabulary = detail::or_out_of_memory([&] { return detail::GgufReader(file).read(); });
  if (vocabulary.error().code() == StatusCode::kNotFound && file.find("tokenizer.ggml.model") != nullptr) {
    return detail::malformed(vocabulary.error().message());  // there is a tokenizer, but not all of it
  }
  if (!vocabulary.has_value()) return vocabulary.error();
  return detail::or_out_of_memory([&]() -> Result<std::shared_ptr<const Tokenizer>> {
    return detail::make_tokenizer(std::move(*vocabulary));
  });
}

}  // namespace elms::inline v0
