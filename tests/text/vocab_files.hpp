// Tokenizers over the reference vocabularies: from GGUF, and from a tokenizer.json that the tests write
// themselves around the vocabularies that come without one.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "elms/tokenizer.hpp"
#include "support.hpp"

namespace elms_test {

using TokenizerPtr = std::shared_ptr<const elms::Tokenizer>;
using Ids = std::vector<elms::TokenId>;

/// Fail the test case when the file does not open.
TokenizerPtr open_gguf_tokenizer(const std::string& path);
TokenizerPtr open_json_tokenizer(const std::string& path);

/// Writes `contents` into a scratch folder of that name and opens it; `config` becomes the
/// tokenizer_config.json beside it.
TokenizerPtr write_and_open(const std::string& name, const nlohmann::json& contents,
                            const nlohmann::json& config = {});

/// tokenizer.json files around shared/tokenizers/{gpt2,llama3} and around the scores of a SentencePiece GGUF.
nlohmann::json gpt2_json();
nlohmann::json llama3_json();
nlohmann::json llama2_json(const std::string& gguf_path);

/// The expressions of published pre-tokenizers.
extern const char* const kLlama3Regex;
extern const char* const kQwen2Regex;
/// A Split that isolates the matches of `regex`.
nlohmann::json isolated_split(const char* regex);
/// `tokenizer` with these pre-tokenizers, followed by ByteLevel without its own expression.
nlohmann::json with_steps(nlohmann::json tokenizer, nlohmann::json steps);

/// The bytes of a GGUF without tensors, with another value of tokenizer.ggml.pre.
std::vector<std::uint8_t> with_pre_tokenizer(const std::vector<std::uint8_t>& gguf, const std::string& name);

std::string read_text(const std::string& path);
std::vector<std::string> split_lines(const std::string& text);

/// Random valid UTF-8: words, digits, spaces, line ends, punctuation, emoji with joiners, CJK, Hangul,
/// combining marks, control characters, any code point.
std::string random_text(std::mt19937& rng, std::size_t n_parts);

}  // namespace elms_test
