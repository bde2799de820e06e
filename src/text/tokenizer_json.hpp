// The parts of a Hugging Face tokenizer.json, each read into the Vocabulary by its own function. A component
// that elms does not do exactly as Hugging Face's tokenizers does is kUnsupported and named, never
// approximated.
#pragma once

#include <string>
#include <string_view>

#include "elms/status.hpp"
#include "io/json_file.hpp"
#include "vocabulary.hpp"

namespace elms::inline v0::detail {

// Each takes the top of the file; a component that is absent or null is none.
[[nodiscard]] Status read_normalizer(const JsonObject& top, Vocabulary& vocabulary);
[[nodiscard]] Status read_pre_tokenizer(const JsonObject& top, Vocabulary& vocabulary);
/// After the model and the added tokens.
[[nodiscard]] Status read_post_processor(const JsonObject& top, Vocabulary& vocabulary);
/// After normalizer, pre-tokenizer and model, with which it must agree.
[[nodiscard]] Status read_decoder(const JsonObject& top, Vocabulary& vocabulary);

/// All of a tokenizer.json and of the tokenizer_config.json beside it, finished.
[[nodiscard]] Result<Vocabulary> read_tokenizer_json(const std::string& path);

// Its steps, for callers that have the files in memory.
/// `file` stands for the file in messages. To be finished with finish_vocabulary().
[[nodiscard]] Result<Vocabulary> read_vocabulary(const JsonObject& top, std::string_view file);
/// BOS, EOS, the unknown token and the chat template of a tokenizer_config.json. Also where Hugging Face lets
/// it overrule whether BOS and EOS are added.
[[nodiscard]] Status read_tokenizer_config(const JsonObject& top, Vocabulary& vocabulary);
/// The same from the file beside `tokenizer_path`, if there is one, and chat_template.jinja.
[[nodiscard]] Status read_files_beside(const std::string& tokenizer_path, Vocabulary& vocabulary);

/// An array of `object`: a missing one is kNotFound, something else kMalformedFile.
[[nodiscard]] Result<const nlohmann::json::array_t*> array_of(const JsonObject& object, std::string_view key);
/// Element `i` of such an array, as an object; what is none has no keys.
[[nodiscard]] JsonObject element_of(const JsonObject& object, std::string_view key,
                                    const nlohmann::json::array_t& array, std::size_t i);
/// A string that may be missing.
[[nodiscard]] Result<std::string_view> string_or(const JsonObject& object, std::string_view key,
                                                 std::string_view otherwise);
/// Calls `read` with each part of a Sequence. (JsonFile bounds the depth of nesting.)
template <typename Read>
Status for_each_part(const JsonObject& sequence, std::string_view key, const Read& read) {
  const auto parts = array_of(sequence, key);
  if (!parts.has_value()) return parts.error();
  for (std::size_t i = 0; i < (*parts)->size(); ++i) {
    if (Status status = read(element_of(sequence, key, **parts, i)); !status.ok()) return status;
  }
  return {};
}
/// When Metaspace puts a space before a text: "always", "first" or "never".
[[nodiscard]] Result<std::string_view> prepend_scheme_of(const JsonObject& metaspace);
/// A token id from 0 to `end` - 1.
[[nodiscard]] bool is_token_id(const nlohmann::json* value, std::size_t end) noexcept;

}  // namespace elms::inline v0::detail
