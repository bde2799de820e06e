// normalizer and pre_tokenizer of a tokenizer.json: what happens to a text before the model sees it.
#include "elms/detail/error.hpp"
#include "tokenizer_json.hpp"

namespace elms::inline v0::detail {
namespace {

class NormalizerReader {
 public:
  explicit NormalizerReader(std::vector<NormalizerStep>& steps) : steps_(steps) {}

  Status read(const JsonObject& component) {
    using Kind = NormalizerStep::Kind;
    ELMS_ASSIGN_OR_RETURN(const std::string_view type, component.string("type"));
    if (type == "Sequence") {
      return for_each_part(component, "normalizers", [&](const JsonObject& part) { return read(part); });
    }
    if (type == "NFC") return add({.kind = Kind::kNfc});
    if (type == "NFD") return add({.kind = Kind::kNfd});
    if (type == "NFKC") return add({.kind = Kind::kNfkc});
    if (type == "NFKD") return add({.kind = Kind::kNfkd});
    if (type == "Lowercase") return add({.kind = Kind::kLowercase});
    if (type == "StripAccents") return add({.kind = Kind::kStripMarks});
    if (type == "Strip") return read_strip(component);
    if (type == "Prepend") return read_prepend(component);
    if (type == "Replace") return read_replace(component);
    if (type == "BertNormalizer") return read_bert(component);
    return unsupported(component.at("type"), ": normalizer '", type, "'");
  }

 private:
  Status add(NormalizerStep step) {
    steps_.push_back(std::move(step));
    return {};
  }

  Status read_strip(const JsonObject& component) {
    NormalizerStep step{.kind = NormalizerStep::Kind::kStrip};
    ELMS_ASSIGN_OR_RETURN(step.left, component.boolean_or("strip_left", true));
    ELMS_ASSIGN_OR_RETURN(step.right, component.boolean_or("strip_right", true));
    return add(std::move(step));
  }

  Status read_prepend(const JsonObject& component) {
    ELMS_ASSIGN_OR_RETURN(const std::string_view text, component.string("prepend"));
    return add({.kind = NormalizerStep::Kind::kPrepend, .text = std::string(text)});
  }

  Status read_replace(const JsonObject& component) {
    ELMS_ASSIGN_OR_RETURN(const JsonObject pattern, component.object("pattern"));
    if (pattern.has("Regex")) return unsupported(pattern.at("Regex"), " of normalizer Replace");
    ELMS_ASSIGN_OR_RETURN(const std::string_view text, pattern.string("String"));
    ELMS_ASSIGN_OR_RETURN(const std::string_view content, component.string("content"));
    if (text.empty()) return malformed(pattern.at("String"), ": expected a text, found ''");
    return add({.kind = NormalizerStep::Kind::kReplace,
                .text = std::string(text),
                .replacement = std::string(content)});
  }

  Status read_bert(const JsonObject& component) {
    ELMS_ASSIGN_OR_RETURN(const bool clean, component.boolean_or("clean_text", true));
    ELMS_ASSIGN_OR_RETURN(const bool ideographs, component.boolean_or("handle_chinese_chars", true));
    ELMS_ASSIGN_OR_RETURN(const bool lowercase, component.boolean_or("lowercase", true));
    ELMS_ASSIGN_OR_RETURN(const bool strip_accents, component.boolean_or("strip_accents", lowercase));
    const auto steps = bert_normalizer(clean, ideographs, strip_accents, lowercase);
    steps_.insert(steps_.end(), steps.begin(), steps.end());
    return {};
  }

  std::vector<NormalizerStep>& steps_;
};

class PreTokenizerReader {
 public:
  explicit PreTokenizerReader(Vocabulary& vocabulary)
      : vocabulary_(vocabulary), pre_tokenizer_(vocabulary.pre_tokenizer) {}

  Status read(const JsonObject& component) {
    using Kind = SplitStep::Kind;
    ELMS_ASSIGN_OR_RETURN(const std::string_view type, component.string("type"));
    if (type == "Sequence") {
      return for_each_part(component, "pretokenizers", [&](const JsonObject& part) { return read(part); });
    }
    if (vocabulary_.writing == Vocabulary::Writing::kByteLevel) {
      return unsupported(component.at("type"), ": pre_tokenizer '", type, "' after ByteLevel");
    }
    if (type == "ByteLevel") return read_byte_level(component);
    if (type == "Metaspace") return read_metaspace(component);
    if (type == "Split") return read_split(component);
    if (type == "Digits") return read_digits(component);
    if (type == "Punctuation") return read_punctuation(component);
    if (type == "BertPreTokenizer") return add({.kind = Kind::kBert});
    if (type == "WhitespaceSplit") return add({.kind = Kind::kDropSpace});
    return unsupported(component.at("type"), ": pre_tokenizer '", type, "'");
  }

 private:
  Status add(const SplitStep& step) {
    pre_tokenizer_.steps.push_back(step);
    return {};
  }

  /// Prefix spaces and markers are written before the first step; a component that would write them later is
  /// refused.
  Status check_first(const JsonObject& component) const {
    if (pre_tokenizer_.steps.empty() && !pre_tokenizer_.mark_spaces) return {};
    return unsupported(component.at("type"), ": a pre_tokenizer that adds spaces, after another one");
  }

  Status read_byte_level(const JsonObject& component) {
    vocabulary_.writing = Vocabulary::Writing::kByteLevel;
    ELMS_ASSIGN_OR_RETURN(const bool prefix_space, component.boolean_or("add_prefix_space", true));
    ELMS_ASSIGN_OR_RETURN(const bool use_regex, component.boolean_or("use_regex", true));
    if (prefix_space) {
      ELMS_RETURN_IF_ERROR(check_first(component));
      pre_tokenizer_.prefix_space = PreTokenizer::PrefixSpace::kEverySection;
    }
    return use_regex ? add(gpt2_words()) : Status();
  }

  Status read_metaspace(const JsonObject& component) {
    using PrefixSpace = PreTokenizer::PrefixSpace;
    ELMS_RETURN_IF_ERROR(check_first(component));
    ELMS_ASSIGN_OR_RETURN(const auto replacement, string_or(component, "replacement", kSpaceMarker));
    if (replacement != kSpaceMarker) return unsupported(component.at("replacement"), ": '", replacement, "'");
    ELMS_ASSIGN_OR_RETURN(const auto scheme, prepend_scheme_of(component));
    if (scheme == "always") {
      pre_tokenizer_.prefix_space = PrefixSpace::kEverySection;
    } else if (scheme == "first") {
      pre_tokenizer_.prefix_space = PrefixSpace::kFirstSection;
    } else if (scheme != "never") {
      return unsupported(component.at("prepend_scheme"), ": '", scheme, "'");
    }
    pre_tokenizer_.mark_spaces = true;
    ELMS_ASSIGN_OR_RETURN(const bool splits, component.boolean_or("split", true));
    return splits ? add({.kind = SplitStep::Kind::kMarkedWords}) : Status();
  }

  Status read_split(const JsonObject& component) {
    ELMS_ASSIGN_OR_RETURN(const JsonObject pattern, component.object("pattern"));
    ELMS_ASSIGN_OR_RETURN(const auto regex, string_or(pattern, "Regex", ""));
    ELMS_ASSIGN_OR_RETURN(const auto behavior, component.string("behavior"));
    ELMS_ASSIGN_OR_RETURN(const bool inverted, component.boolean_or("invert", false));
    SplitStep step;
    if (!find_split_pattern(regex, step)) {
      ELMS_ASSIGN_OR_RETURN(const auto text, string_or(pattern, "String", regex));
      return unsupported(component.at("pattern"), ": Split at '", text, "'");
    }
    // Keeping only what matches an expression that matches everything is the same as isolating its matches.
    const bool keeps_all = behavior == "Removed" && inverted && step.kind == SplitStep::Kind::kWords;
    if ((behavior == "Isolated" && !inverted) || keeps_all) return add(step);
    return unsupported(component.at("behavior"), ": Split with '", behavior, inverted ? "', inverted" : "'");
  }

  Status read_digits(const JsonObject& component) {
    ELMS_ASSIGN_OR_RETURN(const bool individual, component.boolean_or("individual_digits", false));
    return add(digits_step(individual));
  }

  Status read_punctuation(const JsonObject& component) {
    ELMS_ASSIGN_OR_RETURN(const auto behavior, string_or(component, "behavior", "Isolated"));
    if (behavior == "Isolated") return add(punctuation_step(true));
    if (behavior == "Contiguous") return add(punctuation_step(false));
    return unsupported(component.at("behavior"), ": Punctuation with '", behavior, "'");
  }

  Vocabulary& vocabulary_;
  PreTokenizer& pre_tokenizer_;
};

}  // namespace

Result<std::string_view> prepend_scheme_of(const JsonObject& metaspace) {
  ELMS_ASSIGN_OR_RETURN(const bool add_prefix, metaspace.boolean_or("add_prefix_space", true));
  return string_or(metaspace, "prepend_scheme", add_prefix ? "always" : "never");
}

Status read_normalizer(const JsonObject& top, Vocabulary& vocabulary) {
  if (!top.has("normalizer")) return {};
  ELMS_ASSIGN_OR_RETURN(const JsonObject component, top.object("normalizer"));
  return NormalizerReader(vocabulary.normalizer).read(component);
}

Status read_pre_tokenizer(const JsonObject& top, Vocabulary& vocabulary) {
  if (!top.has("pre_tokenizer")) return {};
  ELMS_ASSIGN_OR_RETURN(const JsonObject component, top.object("pre_tokenizer"));
  return PreTokenizerReader(vocabulary).read(component);
}

}  // namespace elms::inline v0::detail
