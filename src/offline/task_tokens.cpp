// Where a prompt's tokens end and a choice's begin.
#include <algorithm>

#include "elms/offline/task_eval.hpp"
#include "elms/tokenizer.hpp"

namespace elms::inline v0::offline {
namespace {

using Tokens = std::vector<TokenId>;

bool begins_with(const Tokens& tokens, const Tokens& prefix) {
  return tokens.size() > prefix.size() && std::equal(prefix.begin(), prefix.end(), tokens.begin());
}

/// What the tokenizer puts before a text: its tokens with specials, up to where those without begin.
Tokens specials_before(const Tokenizer& tokenizer, const std::string& text, const Tokens& plain) {
  const Tokens with = tokenizer.encode(text);
  const auto found = std::search(with.begin(), with.end(), plain.begin(), plain.end());
  return found == with.end() ? Tokens() : Tokens(with.begin(), found);
}

Tokens choice_tokens(const Tokenizer& tokenizer, const std::string& prompt, const Tokens& prompt_tokens,
                     const std::string& choice) {
  const EncodeOptions plain{.add_special = false};
  const Tokens joined = tokenizer.encode(prompt + choice, plain);
  const auto tail_of = [](const Tokens& tokens, const Tokens& prefix) {
    return Tokens(tokens.begin() + static_cast<std::ptrdiff_t>(prefix.size()), tokens.end());
  };
  if (begins_with(joined, prompt_tokens)) return tail_of(joined, prompt_tokens);
  // A text on its own may get a space before it; one after a new line does not.
  const Tokens line = tokenizer.encode("\n", plain), after_line = tokenizer.encode("\n" + choice, plain);
  if (begins_with(after_line, line)) return tail_of(after_line, line);
  return tokenizer.encode(choice, plain);
}

}  // namespace

TaskTokens tokenize_task(const Tokenizer& tokenizer, const TaskItem& item) {
  const Tokens plain = tokenizer.encode(item.prompt, {.add_special = false});
  TaskTokens tokens;
  tokens.prompt = specials_before(tokenizer, item.prompt, plain);
  tokens.prompt.insert(tokens.prompt.end(), plain.begin(), plain.end());
  for (const std::string& choice : item.choices) {
    tokens.choices.push_back(choice_tokens(tokenizer, item.prompt, plain, choice));
  }
  return tokens;
}

}  // namespace elms::inline v0::offline
