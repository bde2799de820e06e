// Where the pre-tokenizers cut, by hand. (Random texts against other implementations: peer_vectors_test.cpp.)
#include "text/pretokenize.hpp"

#include "support.hpp"

using namespace elms::detail;
using Pieces = std::vector<std::string>;

namespace {

Pieces cut(const std::string& gguf_name, const std::string& text) {
  const auto named = find_pre_tokenizer(gguf_name);
  REQUIRE(named.has_value());
  std::vector<std::string_view> pieces, scratch;
  pre_tokenize({named->steps.begin(), named->steps.end()}, text, pieces, scratch);
  return {pieces.begin(), pieces.end()};
}

}  // namespace

TEST_CASE("gpt-2 cuts words with the space before them", "[text][pretokenize]") {
  CHECK(cut("gpt-2", "") == Pieces{});
  CHECK(cut("gpt-2", "Hello world") == Pieces{"Hello", " world"});
  CHECK(cut("gpt-2", "a  b   ") == Pieces{"a", " ", " b", "   "});
  CHECK(cut("gpt-2", "I'll don't I'VE") == Pieces{"I", "'ll", " don", "'t", " I", "'", "VE"});
  CHECK(cut("gpt-2", "x 1234!? \n\ny") == Pieces{"x", " 1234", "!?", " \n", "\n", "y"});
  CHECK(cut("gpt-2", "\u00a0a") == Pieces{"\u00a0", "a"});
  CHECK(cut("gpt-2", "e\u0301t") == Pieces{"e", "\u0301", "t"});
  CHECK(cut("gpt-2", "\xFFok \xC3") == Pieces{"\xFF", "ok", " \xC3"});
}

TEST_CASE("llama-bpe groups three digits and takes any lead character", "[text][pretokenize]") {
  CHECK(cut("llama-bpe", "Hello, world") == Pieces{"Hello", ",", " world"});
  CHECK(cut("llama-bpe", "12345 67") == Pieces{"123", "45", " ", "67"});
  CHECK(cut("llama-bpe", "I'LL you'Re") == Pieces{"I", "'LL", " you", "'Re"});
  CHECK(cut("llama-bpe", "\tx (y)\n\nz") == Pieces{"\tx", " (", "y", ")\n\n", "z"});
  CHECK(cut("llama-bpe", "a \r\n  b") == Pieces{"a", " \r\n", " ", " b"});
  CHECK(cut("llama-bpe", "a   ") == Pieces{"a", "   "});
  CHECK(cut("llama-bpe", "it'\u017F") == Pieces{"it", "'\u017F"});  // the long s folds to s
  CHECK(cut("llama-bpe", "$x\u0301y") == Pieces{"$x", "\u0301y"});
}

TEST_CASE("qwen2 cuts every digit alone", "[text][pretokenize]") {
  CHECK(cut("qwen2", "In 2024, yes") == Pieces{"In", " ", "2", "0", "2", "4", ",", " yes"});
  CHECK(cut("qwen2", "½x²") == Pieces{"½", "x", "²"});
  CHECK(cut("qwen2", "f(x)=1;\n\n  return") == Pieces{"f", "(x", ")=", "1", ";\n\n", " ", " return"});
  CHECK(cut("qwen2", "我想在apple工作1314") == Pieces{"我想在apple工作", "1", "3", "1", "4"});
  CHECK(cut("qwen2", " \n \n x") == Pieces{" \n \n", " x"});
  CHECK(cut("qwen2", "हिन्दी") == Pieces{"ह", "िन", "्द", "ी"});
  CHECK(cut("qwen35", "हिन्दी ok") == Pieces{"हिन्दी", " ok"});
}

TEST_CASE("deepseek-coder cuts in passes", "[text][pretokenize]") {
  CHECK(cut("deepseek-coder", "Hello, world") == Pieces{"Hello", ",", " world"});
  CHECK(cut("deepseek-coder", "a\n\nb") == Pieces{"a", "\n", "\n", "b"});
  CHECK(cut("deepseek-coder", "ab我想cd 12") == Pieces{"ab", "我想", "cd", " ", "1", "2"});
  CHECK(cut("deepseek-coder", "x  (y)") == Pieces{"x", " ", " (", "y", ")"});
}

TEST_CASE("deepseek-v3, smollm, falcon and default", "[text][pretokenize]") {
  CHECK(cut("deepseek-v3", "12345日本ab .x \n") == Pieces{"123", "45", "日本", "ab", " .", "x", " \n"});
  CHECK(cut("deepseek-v3", "#include <a>") == Pieces{"#include", " <", "a", ">"});
  CHECK(cut("smollm", "ab 123") == Pieces{"ab", " ", "1", "2", "3"});
  CHECK(cut("falcon", "ab+12345`c") == Pieces{"ab", "+", "123", "45", "`", "c"});
  CHECK(cut("default", "ab+12345`c") == Pieces{"ab", "+", "123", "45", "`", "c"});
}

TEST_CASE("every alias of a pre-tokenizer is the same one", "[text][pretokenize]") {
  for (const char* alias : {"llama3", "llama-v3", "falcon3", "pixtral"}) {
    CHECK(find_pre_tokenizer(alias)->steps.data() == find_pre_tokenizer("llama-bpe")->steps.data());
    CHECK(find_pre_tokenizer(alias)->ignore_merges);
  }
  CHECK(find_pre_tokenizer("deepseek-r1-qwen")->steps.data() == find_pre_tokenizer("qwen2")->steps.data());
  CHECK_FALSE(find_pre_tokenizer("qwen2")->ignore_merges);
  CHECK_FALSE(find_pre_tokenizer("smaug-bpe")->ignore_merges);
  CHECK_FALSE(find_pre_tokenizer("no-such-thing").has_value());
}

TEST_CASE("pieces put together are the text", "[text][pretokenize]") {
  auto rng = elms_test::make_rng(41);
  for (int round = 0; round < 2000; ++round) {
    std::string text(rng() % 24, '\0');
    for (char& c : text) c = rng() % 3 == 0 ? static_cast<char>(rng()) : " \n'sa1.\xCC\x81\xE4"[rng() % 11];
    for (const char* name :
         {"gpt-2", "llama-bpe", "qwen2", "qwen35", "deepseek-coder", "deepseek-v3", "falcon", "smollm"}) {
      std::string together;
      for (const std::string& piece : cut(name, text)) {
        CHECK_FALSE(piece.empty());
        together += piece;
      }
      REQUIRE(together == text);
    }
  }
}
