// The merge queue against the definition: look at all pairs, merge the best, start over.
#include <cstring>

#include "elms/detail/gguf.hpp"
#include "text/unicode.hpp"
#include "vocab_files.hpp"

using elms_test::Ids;
using elms_test::TokenizerPtr;

namespace {

/// llama2.c's tokenizer file: the longest token, then score, length and bytes of each.
struct BinToken {
  float score;
  std::string text;
};
std::vector<BinToken> read_bin(const std::string& path) {
  const auto bytes = elms_test::read_bytes(path);
  std::vector<BinToken> tokens;
  std::size_t at = 4;
  while (at + 8 <= bytes.size()) {
    BinToken token;
    std::int32_t size = 0;
    std::memcpy(&token.score, &bytes[at], 4);
    std::memcpy(&size, &bytes[at + 4], 4);
    token.text.assign(bytes.begin() + static_cast<std::ptrdiff_t>(at) + 8,
                      bytes.begin() + static_cast<std::ptrdiff_t>(at) + 8 + size);
    tokens.push_back(token);
    at += 8 + static_cast<std::size_t>(size);
  }
  return tokens;
}

std::size_t char_size(const std::string& text, std::size_t i) {
  return elms::detail::char_at(text, i).size;
}

Ids naive_spm(const std::vector<BinToken>& vocab, const std::string& text) {
  std::vector<std::string> parts = {" "};
  for (std::size_t i = 0; i < text.size(); i += char_size(text, i))
    parts.push_back(text.substr(i, char_size(text, i)));
  const auto find = [&](const std::string& piece) -> int {
    for (std::size_t id = 259; id < vocab.size(); ++id) {
      if (vocab[id].text == piece) return static_cast<int>(id);
    }
    return -1;
  };
  while (true) {
    std::size_t best = parts.size();
    float best_score = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const int id = find(parts[i] + parts[i + 1]);
      if (id < 0 || (best != parts.size() && vocab[static_cast<std::size_t>(id)].score <= best_score))
        continue;
      best = i;
      best_score = vocab[static_cast<std::size_t>(id)].score;
    }
    if (best == parts.size()) break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  Ids ids;
  for (const std::string& part : parts) {
    const int id = find(part);
    if (id >= 0) {
      ids.push_back(id);
    } else {
      for (const char byte : part) ids.push_back(static_cast<unsigned char>(byte) + 3);
    }
  }
  return ids;
}

}  // namespace

TEST_CASE("tok512.bin: the vocabulary of stories260K", "[text][vectors]") {
  ELMS_REQUIRE_SHARED(bin, "tokenizers/tok512/tok512.bin");
  ELMS_REQUIRE_SHARED(gguf, "models/stories260K.gguf");
  const auto vocab = read_bin(bin);
  const TokenizerPtr tokenizer = elms_test::open_gguf_tokenizer(gguf);
  auto file = elms::detail::GgufFile::open(gguf);
  REQUIRE_OK(file);
  const auto scores = file->reals("tokenizer.ggml.scores");
  REQUIRE(vocab.size() == 512);
  REQUIRE(tokenizer->n_vocab() == 512);
  for (elms::TokenId id = 259; id < 512; ++id) {
    CHECK(tokenizer->token_bytes(id) == vocab[static_cast<std::size_t>(id)].text);
    CHECK((*scores)[static_cast<std::size_t>(id)] == vocab[static_cast<std::size_t>(id)].score);
  }
}

TEST_CASE("tok512: the queue merges as the definition does", "[text][vectors]") {
  ELMS_REQUIRE_SHARED(bin, "tokenizers/tok512/tok512.bin");
  ELMS_REQUIRE_SHARED(gguf, "models/stories260K.gguf");
  const auto vocab = read_bin(bin);
  const TokenizerPtr tokenizer = elms_test::open_gguf_tokenizer(gguf);
  auto rng = elms_test::make_rng(21);
  const std::string letters = "aeiothnsrld  .,'TH\n";
  for (int round = 0; round < 200; ++round) {
    std::string text;
    for (std::size_t n = 1 + rng() % 40; n > 0; --n) text.push_back(letters[rng() % letters.size()]);
    if (round % 4 == 0) text += "é🙂" + elms_test::random_text(rng, 3);
    if (text.find("▁") != text.npos || text.find('\0') != text.npos) continue;
    INFO("'" << text << "'");
    REQUIRE(tokenizer->encode(text, {.add_special = false}) == naive_spm(vocab, text));
  }
  const std::string story =
      "Once upon a time, there was a little girl named Lily. She loved to play outside.";
  CHECK(tokenizer->encode(story, {.add_special = false}) == naive_spm(vocab, story));
}
