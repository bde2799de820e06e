#include "text/piece_counts.hpp"

#include "support.hpp"

using elms::detail::PieceCounts;

TEST_CASE("piece counts are what was said of the very piece, however many there are", "[text]") {
  auto rng = elms_test::make_rng(11);
  PieceCounts counts;
  const auto expected = [](const std::string& piece) { return std::hash<std::string>{}(piece) % 1000; };
  std::size_t n_asked = 0;
  const auto ask = [&](const std::string& piece) {
    REQUIRE(counts.of(piece, [&] {
      ++n_asked;
      return expected(piece);
    }) == expected(piece));
  };
  for (int i = 0; i < 200'000; ++i) {  // more than there are places
    std::string piece(rng() % 44, 'a');
    for (char& c : piece) c = static_cast<char>(rng() % 3);  // zeros too, which are no padding
    ask(piece);
    ask("word" + std::to_string(i));
  }
  n_asked = 0;
  for (int round = 0; round < 2; ++round) {
    for (const char* piece : {"a", "ab", "abcdefgh", "abcdefghi", "\xE2\x96\x81the"}) ask(piece);
  }
  CHECK(n_asked <= 5);  // each once
}
