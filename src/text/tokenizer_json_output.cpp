// post_processor and decoder of a tokenizer.json: the tokens around a text, and the way back from tokens to
// text.
#include "elms/detail/error.hpp"
#include "tokenizer_json.hpp"

namespace elms::inline v0::detail {
namespace {

using nlohmann::json;

class PostProcessorReader {
 public:
  explicit PostProcessorReader(Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  Status read(const JsonObject& component) {
    ELMS_ASSIGN_OR_RETURN(const std::string_view type, component.string("type"));
    if (type == "Sequence") {
      return for_each_part(component, "processors", [&](const JsonObject& part) { return read(part); });
    }
    if (type == "ByteLevel") return {};  // moves offsets, which elms does not report
    if (type == "TemplateProcessing") return read_template(component);
    if (type == "BertProcessing" || type == "RobertaProcessing") return read_bert(component);
    return unsupported(component.at("type"), ": post_processor '", type, "'");
  }

 private:
  void wrap(const std::vector<TokenId>& before, const std::vector<TokenId>& after) {
    vocabulary_.prefix.insert(vocabulary_.prefix.begin(), before.begin(), before.end());
    vocabulary_.suffix.insert(vocabulary_.suffix.end(), after.begin(), after.end());
  }

  Status read_template(const JsonObject& component) {
    ELMS_ASSIGN_OR_RETURN(const json::array_t* items, array_of(component, "single"));
    std::vector<TokenId> before;
    std::vector<TokenId> after;
    int n_texts = 0;
    for (std::size_t i = 0; i < items->size(); ++i) {
      const JsonObject item = element_of(component, "single", *items, i);
      if (item.has("Sequence")) {
        ++n_texts;
        continue;
      }
      ELMS_ASSIGN_OR_RETURN(const JsonObject special, item.object("SpecialToken"));
      ELMS_ASSIGN_OR_RETURN(const std::string_view name, special.string("id"));
      ELMS_RETURN_IF_ERROR(append_special(component, name, n_texts == 0 ? before : after));
    }
    if (n_texts != 1) return unsupported(component.at("single"), ": a template with ", n_texts, " texts");
    wrap(before, after);
    return {};
  }

  Status append_special(const JsonObject& component, std::string_view name, std::vector<TokenId>& out) const {
    ELMS_ASSIGN_OR_RETURN(const JsonObject specials, component.object("special_tokens"));
    ELMS_ASSIGN_OR_RETURN(const JsonObject special, specials.object(name));
    ELMS_ASSIGN_OR_RETURN(const json::array_t* ids, array_of(special, "ids"));
    for (const json& id : *ids) ELMS_RETURN_IF_ERROR(append_id(id, special.at("ids"), out));
    return {};
  }

  Status append_id(const json& id, const std::string& where, std::vector<TokenId>& out) const {
    if (!is_token_id(&id, vocabulary_.tokens.size())) return malformed(where, ": not in the vocabulary");
    out.push_back(static_cast<TokenId>(*id.get_ptr<const json::number_unsigned_t*>()));
    return {};
  }

  Status read_bert(const JsonObject& component) {
    std::vector<TokenId> before;
    std::vector<TokenId> after;
    ELMS_RETURN_IF_ERROR(append_pair(component, "cls", before));
    ELMS_RETURN_IF_ERROR(append_pair(component, "sep", after));
    wrap(before, after);
    return {};
  }

  /// ["[CLS]", 101]
  Status append_pair(const JsonObject& component, std::string_view key, std::vector<TokenId>& out) const {
    ELMS_ASSIGN_OR_RETURN(const json::array_t* pair, array_of(component, key));
    if (pair->size() != 2) return malformed(component.at(key), ": expected a token and its id");
    return append_id((*pair)[1], component.at(key), out);
  }

  Vocabulary& vocabulary_;
};

class DecoderReader {
 public:
  explicit DecoderReader(Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  Status read(const JsonObject& component) {
    using Writing = Vocabulary::Writing;
    ELMS_ASSIGN_OR_RETURN(const std::string_view type, component.string("type"));
    if (type == "Sequence") {
      return for_each_part(component, "decoders", [&](const JsonObject& part) { return read(part); });
    }
    const bool known = type == "ByteLevel" || type == "ByteFallback" || type == "Fuse" ||
                       type == "WordPiece" || type == "Metaspace" || type == "Replace" || type == "Strip";
    if (!known) return unsupported(component.at("type"), ": decoder '", type, "'");
    const Writing undone = type == "ByteLevel"   ? Writing::kByteLevel
                           : type == "WordPiece" ? Writing::kWordPiece
                                                 : Writing::kMarkedSpaces;
    if (undone != vocabulary_.writing) {
      return unsupported(component.at("type"), ": decoder '", type,
                         "' does not undo what the pre_tokenizer does");
    }
    if (type == "WordPiece") return read_word_piece(component);
    if (type == "Metaspace") return read_metaspace(component);
    if (type == "Replace") return read_replace(component);
    if (type == "Strip") return read_strip(component);
    return {};
  }

 private:
  Status read_word_piece(const JsonObject& component) {
    ELMS_ASSIGN_OR_RETURN(const auto prefix, string_or(component, "prefix", "##"));
    if (prefix != vocabulary_.continuation_prefix) {
      return unsupported(component.at("prefix"), ": '", prefix, "', the model has '",
                         vocabulary_.continuation_prefix, "'");
    }
    ELMS_ASSIGN_OR_RETURN(vocabulary_.clean_up_spaces, component.boolean_or("cleanup", true));
    vocabulary_.strip_leading_space = true;
    return {};
  }

  Status read_metaspace(const JsonObject& component) {
    ELMS_ASSIGN_OR_RETURN(const auto scheme, prepend_scheme_of(component));
    vocabulary_.strip_leading_space = scheme != "never";
    return {};
  }

  static Status read_replace(const JsonObject& component) {
    ELMS_ASSIGN_OR_RETURN(const JsonObject pattern, component.object("pattern"));
    ELMS_ASSIGN_OR_RETURN(const auto from, string_or(pattern, "String", ""));
    ELMS_ASSIGN_OR_RETURN(const auto to, component.string("content"));
    if (from == kSpaceMarker && to == " ") return {};
    return unsupported(component.at("pattern"), ": decoder Replace of anything but '", kSpaceMarker,
                       "' by a space");
  }

  Status read_strip(const JsonObject& component) {
    ELMS_ASSIGN_OR_RETURN(const auto content, component.string("content"));
    ELMS_ASSIGN_OR_RETURN(const double start, component.real_or("start", 0));
    ELMS_ASSIGN_OR_RETURN(const double stop, component.real_or("stop", 0));
    if (content != " " || (start != 0 && start != 1) || stop != 0) {
      return unsupported(component.at("type"), ": decoder Strip of anything but one leading space");
    }
    vocabulary_.strip_leading_space = start == 1;
    return {};
  }

  Vocabulary& vocabulary_;
};

}  // namespace

Status read_post_processor(const JsonObject& top, Vocabulary& vocabulary) {
  if (!top.has("post_processor")) return {};
  ELMS_ASSIGN_OR_RETURN(const JsonObject component, top.object("post_processor"));
  return PostProcessorReader(vocabulary).read(component);
}

Status read_decoder(const JsonObject& top, Vocabulary& vocabulary) {
  if (!top.has("decoder")) return unsupported(top.at("decoder"), ": none");
  ELMS_ASSIGN_OR_RETURN(const JsonObject component, top.object("decoder"));
  return DecoderReader(vocabulary).read(component);
}

}  // namespace elms::inline v0::detail
