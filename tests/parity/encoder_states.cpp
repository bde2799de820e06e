// encoder_states MODEL.gguf < LINES: for every line its ids with [CLS] and [SEP] on one line, and on the next
// the last hidden states of all of them, one after the other.
#include <cstdio>
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include "elms/detail/encoder.hpp"

namespace {

int fail(const elms::Status& status) {
  std::fprintf(stderr, "encoder_states: %s\n", status.message().c_str());
  return 1;
}

template <typename T>
void print_line(const std::vector<T>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) std::cout << (i == 0 ? "" : " ") << values[i];
  std::cout << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: encoder_states MODEL.gguf < LINES\n");
    return 2;
  }
  const auto model = elms::detail::EncoderModel::open(argv[1]);
  if (!model.has_value()) return fail(model.error());
  const auto encoder = elms::detail::Encoder::create(*model);
  if (!encoder.has_value()) return fail(encoder.error());
  const auto d_model = static_cast<std::size_t>((*model)->config().d_model);
  std::cout.precision(9);
  for (std::string line; std::getline(std::cin, line);) {
    const std::vector<elms::TokenId> ids = (*model)->tokenizer().encode(line);
    std::vector<float> states(ids.size() * d_model);
    const elms::Status status = (*encoder)->hidden(std::span(ids).subspan(1, ids.size() - 2), states);
    if (!status.ok()) return fail(status);
    print_line(ids);
    print_line(states);
  }
  return 0;
}
