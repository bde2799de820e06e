#include "offline/tasks/calls.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "offline/tasks/words.hpp"

namespace elms::inline v0::offline::tasks {
namespace {

using detail::Xoshiro256;

constexpr std::size_t kMaxParameters = 8;

std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    if (end > at) words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

std::string join(const std::vector<std::string>& words, std::size_t begin, std::size_t end) {
  std::string text;
  for (std::size_t i = begin; i < end; ++i) text += (i > begin ? " " : "") + words[i];
  return text;
}

/// Makes one random change to a right call.
class Corruptor {
 public:
  Corruptor(const Function& function, const Request& request, Xoshiro256& random)
      : function_(function),
        request_(request),
        text_(split_words(request.argument_text.empty() ? request.text : request.argument_text)),
        random_(random) {}

  std::vector<Argument> change() {
    std::vector<Argument> arguments = request_.arguments;
    switch (random_.below(6)) {
      case 0:
        swap_values(arguments);
        break;
      case 1:
        cut(pick(arguments));
        break;
      case 2:
        lengthen(pick(arguments));
        break;
      case 3:
        take_other_words(pick(arguments));
        break;
      case 4:
        rename(arguments);
        break;
      default:
        drop(arguments);
        break;
    }
    return arguments;
  }

 private:
  Argument& pick(std::vector<Argument>& arguments) { return arguments[random_.below(arguments.size())]; }

  void swap_values(std::vector<Argument>& arguments) {
    if (arguments.size() < 2) return;
    const std::size_t a = random_.below(arguments.size()), b = random_.below(arguments.size());
    std::swap(arguments[a].value, arguments[b].value);
  }

  void cut(Argument& argument) {
    const std::vector<std::string> words = split_words(argument.value);
    if (words.size() < 2) return;
    argument.value = random_.below(2) == 0 ? join(words, 1, words.size()) : join(words, 0, words.size() - 1);
  }

  /// Position of the value's words in the text's.
  std::optional<std::size_t> position(const std::vector<std::string>& words) const {
    const auto found = std::search(text_.begin(), text_.end(), words.begin(), words.end());
    if (found == text_.end()) return std::nullopt;
    return static_cast<std::size_t>(found - text_.begin());
  }

  void lengthen(Argument& argument) {
    const std::vector<std::string> words = split_words(argument.value);
    const std::optional<std::size_t> at = position(words);
    if (!at.has_value()) return;
    const std::size_t end = *at + words.size();
    if (random_.below(2) == 0 && *at > 0) {
      argument.value = join(text_, *at - 1, end);
    } else if (end < text_.size()) {
      argument.value = join(text_, *at, end + 1);
    }
  }

  void take_other_words(Argument& argument) {
    if (text_.empty()) return;
    const std::size_t begin = random_.below(text_.size());
    const std::size_t n = 1 + random_.below(std::min<std::size_t>(3, text_.size() - begin));
    argument.value = join(text_, begin, begin + n);
  }

  void rename(std::vector<Argument>& arguments) {
    if (function_.parameters.empty()) return;
    const std::string& name = function_.parameters[random_.below(function_.parameters.size())];
    const bool used =
        std::any_of(arguments.begin(), arguments.end(), [&](const Argument& a) { return a.name == name; });
    if (!used) pick(arguments).name = name;
  }

  void drop(std::vector<Argument>& arguments) {
    if (arguments.size() < 2) return;
    arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(random_.below(arguments.size())));
  }

  const Function& function_;
  const Request& request_;
  std::vector<std::string> text_;
  Xoshiro256& random_;
};

}  // namespace

std::string call_text(const std::string& name, const std::vector<Argument>& arguments) {
  std::string text = name + "(";
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string value = arguments[i].value;
    std::replace(value.begin(), value.end(), '"', '\'');
    text += detail::concat(i > 0 ? ", " : "", arguments[i].name, "=\"", value, "\"");
  }
  return text + ")";
}

std::vector<std::string> corrupted_calls(const Function& function, const Request& request, std::size_t n,
                                         Xoshiro256& random) {
  std::vector<std::string> calls;
  if (request.arguments.empty()) return calls;
  const std::string right = call_text(function.name, request.arguments);
  Corruptor corruptor(function, request, random);
  for (int attempt = 0; attempt < 60 && calls.size() < n; ++attempt) {
    std::string call = call_text(function.name, corruptor.change());
    if (call != right && std::find(calls.begin(), calls.end(), call) == calls.end())
      calls.push_back(std::move(call));
  }
  return calls;
}

void collect_parameters(Corpus& corpus) {
  std::vector<std::map<std::string, std::size_t>> uses(corpus.functions.size());
  for (const Request& request : corpus.requests) {
    for (const Argument& argument : request.arguments) ++uses[request.function][argument.name];
  }
  for (std::size_t f = 0; f < corpus.functions.size(); ++f) {
    Function& function = corpus.functions[f];
    if (!function.parameters.empty()) continue;
    std::vector<std::pair<std::string, std::size_t>> by_use(uses[f].begin(), uses[f].end());
    std::stable_sort(by_use.begin(), by_use.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    for (const auto& [name, n_uses] : by_use) {
      if (function.parameters.size() < kMaxParameters) function.parameters.push_back(name);
    }
  }
}

}  // namespace elms::inline v0::offline::tasks
