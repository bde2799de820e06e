// encode_lines VOCAB.gguf < LINES: the ids of every line as elms encodes it, without special tokens, a line
// for each.
#include <cstdio>
#include <iostream>
#include <string>

#include "elms/detail/gguf.hpp"
#include "elms/tokenizer.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: encode_lines VOCAB.gguf < LINES\n");
    return 2;
  }
  const auto file = elms::detail::GgufFile::open(argv[1]);
  const auto tokenizer = file.has_value() ? elms::Tokenizer::from_gguf(*file) : file.error();
  if (!tokenizer.has_value()) {
    std::fprintf(stderr, "encode_lines: %s\n", tokenizer.error().message().c_str());
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    const char* separator = "";
    for (const elms::TokenId id : (*tokenizer)->encode(line, {.add_special = false})) {
      std::cout << separator << id;
      separator = " ";
    }
    std::cout << '\n';
  }
  return 0;
}
