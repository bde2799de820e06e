#include "elms/offline/vocabulary.hpp"

#include <algorithm>
#include <fstream>

#include "elms/detail/gguf.hpp"
#include "elms/tokenizer.hpp"
#include "offline/jsonl.hpp"
#include "offline/vocab/text_pieces.hpp"
#include "support.hpp"

#ifdef ELMS_TEST_WITH_SENTENCEPIECE
#include <sentencepiece_processor.h>
#endif

using namespace elms_test;
namespace offline = elms::offline;

#ifdef ELMS_TEST_WITH_SENTENCEPIECE
#define ELMS_REQUIRE_SENTENCEPIECE()
#else
#define ELMS_REQUIRE_SENTENCEPIECE() ELMS_SKIP("built without SentencePiece")
#endif

namespace {

std::string write_corpus(const std::string& name, const std::string& text) {
  std::string path = scratch_path(name);
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

/// Some words over and over, with digits, indentation and rare characters.
std::string small_corpus() {
  std::string text;
  for (int i = 0; i < 300; ++i) {
    text += "The quick brown fox number " + std::to_string(i * 37) +
            " jumps over\n    the lazy dog, again and again.\n\n";
  }
  return text + "caf\xC3\xA9 \xE7\x8C\xAB\tend\r\n";
}

std::vector<std::string> pieces_of(const offline::VocabularyOptions& options) {
  auto pieces = offline::TextPieces::open(options);
  REQUIRE_OK(pieces);
  std::vector<std::string> all;
  for (std::string piece;;) {
    const auto more = pieces->next(piece);
    REQUIRE_OK(more);
    if (!*more) return all;
    all.push_back(piece);
  }
}

std::shared_ptr<const elms::Tokenizer> open_tokenizer(const std::string& path) {
  auto file = elms::detail::GgufFile::open(path);
  REQUIRE_OK(file);
  auto tokenizer = elms::Tokenizer::from_gguf(*file);
  REQUIRE_OK(tokenizer);
  return *tokenizer;
}

}  // namespace

TEST_CASE("vocabulary: lines are read as they lie in a text", "[offline]") {
  offline::VocabularyOptions options;
  options.text_files = {write_corpus("a.txt", "one\ntwo\r\n\n\nthree"), write_corpus("b.txt",
                                                                                     "\xEF\xBB\xBF"
                                                                                     "four\n")};
  options.jsonl_files = {
      write_corpus("c.jsonl",
                   "{\"prompt\": \"five\\n six\", \"completion\": \" seven\\n\\neight\"}\n\n"
                   "{\"text\": \"nine\"}\n")};
  CHECK(pieces_of(options) ==
        std::vector<std::string>{" one", "two", " three", " four", " five", " six seven", "eight", " nine"});
}

TEST_CASE("vocabulary: long lines come in pieces that make up the line", "[offline]") {
  std::string line = std::string(10000, 'x');
  for (int i = 0; i < 3000; ++i) line += i % 7 == 0 ? " word" : "\xE7\x8C\xAB";
  offline::VocabularyOptions options;
  options.text_files = {write_corpus("long.txt", line)};
  std::string joined;
  for (const std::string& piece : pieces_of(options)) {
    CHECK(piece.size() <= offline::TextPieces::kMaxPieceBytes);
    CHECK((static_cast<unsigned char>(piece.front()) & 0xC0u) != 0x80u);  // no cut through a character
    joined += piece;
  }
  CHECK(joined == " " + line);
}

TEST_CASE("vocabulary: a trained one is Llama's in kind, deterministic, and encodes any text", "[offline]") {
  ELMS_REQUIRE_SENTENCEPIECE();
  offline::VocabularyOptions options;
  options.text_files = {write_corpus("small.txt", small_corpus())};
  options.n_tokens = 384;
  const std::string path = scratch_path("small.gguf"), again = scratch_path("again.gguf");
  const auto trained = offline::train_vocabulary(options, path);
  REQUIRE_OK(trained);
  CHECK(trained->n_tokens == 384);
  REQUIRE_OK(offline::train_vocabulary(options, again));
  CHECK(read_bytes(path) == read_bytes(again));

  const auto tokenizer = open_tokenizer(path);
  CHECK(tokenizer->n_vocab() == 384);
  CHECK(tokenizer->model() == "llama");
  CHECK(tokenizer->unk() == 0);
  CHECK(tokenizer->bos() == 1);
  CHECK(tokenizer->eos() == 2);
  CHECK(tokenizer->token_text(3) == "<0x00>");
  CHECK(tokenizer->find("\xE2\x96\x81quick") != elms::kNoToken);
  for (elms::TokenId id = 3 + 256; id < 384; ++id) {  // digits stand alone
    const std::string_view text = tokenizer->token_text(id);
    if (std::any_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }))
      CHECK(text.size() == 1);
  }
  for (const std::string text :
       {"The quick brown fox", "123 456", "\n\n  \t x", "\xF0\x9F\x90\xB6 unseen \xC3\xA9"}) {
    const auto tokens = tokenizer->encode(text);
    CHECK(tokens.front() == 1);
    CHECK(std::count(tokens.begin(), tokens.end(), 0) == 0);
    CHECK(tokenizer->decode(tokens) == text);
  }
}

TEST_CASE("vocabulary: what cannot work is refused, and writes no file", "[offline]") {
  offline::VocabularyOptions options;
  options.text_files = {write_corpus("tiny.txt", "too little text")};
  options.n_tokens = 4096;
  const std::string output = scratch_path("refused.gguf");
  const auto code_of = [&] { return offline::train_vocabulary(options, output).error().code(); };
#ifdef ELMS_TEST_WITH_SENTENCEPIECE
  CHECK(code_of() == elms::StatusCode::kInvalidArgument);
  options.jsonl_files = {write_corpus("bad.jsonl", "{\"text\": \"a\"}\n{\"text\": 1}\n")};
  const auto bad = offline::train_vocabulary(options, output);
  CHECK(bad.error().code() == elms::StatusCode::kMalformedFile);
  CHECK(bad.error().message().find("bad.jsonl:2") != std::string::npos);
  options.jsonl_files.clear();
  options.progress = [](const offline::Progress&) { return elms::Flow::kStop; };
  options.text_files = {write_corpus("more.txt", small_corpus())};
  options.n_tokens = 300;
#else
  CHECK(code_of() == elms::StatusCode::kUnsupported);
#endif
  options.text_files = {scratch_path("absent.txt")};
  CHECK(code_of() == elms::StatusCode::kNotFound);
  options.text_files.clear();
  options.jsonl_files.clear();
  CHECK(code_of() == elms::StatusCode::kInvalidArgument);
  options.n_tokens = 259;
  CHECK(code_of() == elms::StatusCode::kInvalidArgument);
  CHECK_FALSE(std::ifstream(output).good());
}

TEST_CASE("vocabulary: elms encodes as SentencePiece does", "[offline]") {
  ELMS_REQUIRE_SENTENCEPIECE();
  ELMS_REQUIRE_SHARED(stories, "data/tinystories/tinystories_sample_2MB.txt");
  ELMS_REQUIRE_SHARED(wiki, "data/wikipedia-excellent/wiki_05");
#ifdef ELMS_TEST_WITH_SENTENCEPIECE
  offline::VocabularyOptions options;
  options.text_files = {stories};
  const std::string path = scratch_path("stories_vocab.gguf");
  const auto trained = offline::train_vocabulary(options, path);
  REQUIRE_OK(trained);
  const auto tokenizer = open_tokenizer(path);
  sentencepiece::SentencePieceProcessor reference;
  REQUIRE(reference.LoadFromSerializedProto(trained->sentencepiece_model).ok());
  std::size_t n_lines = 0;
  for (const std::string& file : {wiki, stories}) {  // the former with much that the latter did not show
    const std::vector<std::uint8_t> bytes = read_bytes(file);
    std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                          std::min<std::size_t>(bytes.size(), 1000000));
    while (!text.empty()) {
      const std::string_view line = offline::take_line(text);
      if (line.empty()) continue;  // SentencePiece puts no space before nothing
      INFO(line);
      const std::vector<int> expected = reference.EncodeAsIds(line);
      REQUIRE(tokenizer->encode(line, {.add_special = false}) ==
              std::vector<elms::TokenId>(expected.begin(), expected.end()));
      ++n_lines;
    }
  }
  CHECK(n_lines > 5000);
#endif
}
