// Prompts: a header, the listed functions, solved examples, the request. What varies is drawn from the seed
// and the request's own text, so that one item does not depend on which others are made.
#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "elms/detail/random.hpp"
#include "offline/progress_meter.hpp"
#include "offline/tasks/calls.hpp"
#include "offline/tasks/corpus.hpp"
#include "offline/tasks/words.hpp"

namespace elms::inline v0::offline::tasks {
namespace {

using detail::concat;
using detail::Xoshiro256;

constexpr std::int32_t kDefaultFunctions = 8;
constexpr std::size_t kWrongCalls = 3;

constexpr std::string_view kHeaders[] = {
    "Choose the function that fits the request.",
    "Which of these functions answers the request?",
    "Pick the one function to call for the request.",
    "The assistant can call these functions. Name the right one for the request.",
    "Read the functions, then choose the best one for the user's request.",
    "Functions of this device:",
    "Match the request with one of the functions below.",
    "Here is what you can do. Select what the user wants.",
};

/// Names that say nothing are two of these.
constexpr std::string_view kAliasWords[] = {
    "amber",  "anchor", "apple",   "arrow",   "bamboo", "basin",   "beacon",  "birch",  "bison",   "blue",
    "brick",  "bridge", "cactus",  "candle",  "canyon", "cedar",   "cherry",  "cliff",  "clover",  "coral",
    "copper", "cotton", "crane",   "daisy",   "delta",  "dune",    "ember",   "falcon", "fern",    "flint",
    "fox",    "garnet", "ginger",  "glacier", "gold",   "granite", "green",   "harbor", "hazel",   "heron",
    "ivory",  "jade",   "juniper", "kite",    "lagoon", "lark",    "lemon",   "lily",   "linen",   "lotus",
    "maple",  "marble", "meadow",  "mint",    "moss",   "nickel",  "oak",     "olive",  "onyx",    "opal",
    "orchid", "otter",  "owl",     "pearl",   "pebble", "pepper",  "pine",    "plum",   "prairie", "quartz",
    "raven",  "reed",   "river",   "robin",   "rose",   "ruby",    "saddle",  "sage",   "salmon",  "sand",
    "silver", "slate",  "spruce",  "stone",   "sunset", "swan",    "thistle", "tiger",  "topaz",   "tulip",
    "velvet", "violet", "walnut",  "willow",  "wolf",   "zinc",
};

template <typename T>
void shuffle(std::vector<T>& values, Xoshiro256& random) {
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.below(i)]);
}

std::int32_t draw(CountRange range, Xoshiro256& random) {
  if (range.max <= range.min) return range.min;
  return range.min +
         static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(range.max - range.min) + 1));
}

/// What the split is decided by: the same words however the annotator wrote them.
const std::string& split_key(const Request& request) {
  return request.argument_text.empty() ? request.text : request.argument_text;
}

class PromptBuilder {
 public:
  PromptBuilder(const Corpus& corpus, const TaskOptions& options) : corpus_(corpus), options_(options) {
    examples_.resize(corpus.functions.size());
    for (std::size_t i = 0; i < corpus.requests.size(); ++i) {
      const Request& request = corpus.requests[i];
      // Requests that judge are never shown as examples, but for data that is not split at all.
      if (options.split != TaskSplit::kAll && in_validation_split(split_key(request))) continue;
      if (is_usable(request)) examples_[request.function].push_back(i);
    }
    list_size_ = options.functions;
    if (list_size_.max <= 0) {
      const auto all = static_cast<std::int32_t>(corpus.functions.size());
      const std::int32_t n = corpus.source == TaskSource::kOctopus ? all : kDefaultFunctions;
      list_size_ = {n, n};
    }
  }

  /// Whether the options let it through.
  [[nodiscard]] bool is_wanted(const Request& request) const {
    const bool held_out = corpus_.functions[request.function].held_out;
    if (options_.unseen == UnseenFunctions::kExclude && held_out) return false;
    if (options_.unseen == UnseenFunctions::kOnly && !held_out) return false;
    if (options_.split != TaskSplit::kAll) {
      if (in_validation_split(split_key(request)) != (options_.split == TaskSplit::kValid)) return false;
    }
    return is_usable(request);
  }

  /// An item without choices where no wrong calls can be made of the request.
  [[nodiscard]] Result<TaskItem> build(const Request& request) const {
    const Function& function = corpus_.functions[request.function];
    Xoshiro256 random(stable_hash(concat(options_.seed, ":", function.name, ":", request.text)));
    std::vector<std::size_t> listed = choose_functions(request, random);
    if (listed.size() < static_cast<std::size_t>(list_size_.min)) {
      return detail::invalid_argument("tasks: ", list_size_.min, " functions in a prompt: only ",
                                      listed.size(), " of ", to_string(corpus_.source),
                                      " can be listed together");
    }
    TaskItem item;
    item.task = to_string(corpus_.source);
    item.function = function.name;
    item.seen = !function.held_out;
    item.prompt = concat(kHeaders[random.below(std::size(kHeaders))], "\n");
    const Names names = draw_names(listed, random);
    for (const std::size_t f : listed) append_function(f, names, request, random, item.prompt);
    append_examples(request, listed, names, random, item);
    item.prompt += concat("Request: ", shown_text(request), "\n", options_.arguments ? "Call:" : "Function:");
    if (options_.arguments) {
      add_calls(function, request, random, item);
    } else {
      for (const std::size_t f : listed) item.choices.push_back(" " + names.at(f));
      item.answer = static_cast<std::size_t>(std::find(listed.begin(), listed.end(), request.function) -
                                             listed.begin());
      if (options_.all_names) add_other_names(item);
    }
    return item;
  }

 private:
  using Names = std::map<std::size_t, std::string>;  // of the listed functions, as a prompt calls them

  /// True in that share of calls. Draws nothing for a share of 0, so that it leaves all else as it was.
  static bool chance(double share, Xoshiro256& random) {
    constexpr std::uint64_t kSteps = 1 << 20;
    return share > 0.0 && static_cast<double>(random.below(kSteps)) < share * static_cast<double>(kSteps);
  }

  [[nodiscard]] Names draw_names(const std::vector<std::size_t>& listed, Xoshiro256& random) const {
    Names names;
    std::set<std::string> aliases;
    for (const std::size_t f : listed) {
      names[f] = corpus_.functions[f].name;
      if (!chance(options_.renamed, random)) continue;
      do {
        const std::string_view first = kAliasWords[random.below(std::size(kAliasWords))];
        names[f] = concat(first, "_", kAliasWords[random.below(std::size(kAliasWords))]);
      } while (!aliases.insert(names[f]).second);
    }
    return names;
  }

  [[nodiscard]] bool is_usable(const Request& request) const {
    if (!options_.arguments) return true;
    const std::vector<std::string>& known = corpus_.functions[request.function].parameters;
    return !request.arguments.empty() &&
           std::all_of(request.arguments.begin(), request.arguments.end(), [&](const Argument& argument) {
             return std::find(known.begin(), known.end(), argument.name) != known.end();
           });
  }

  /// Values are spans of the annotated text, which is not always what the user typed.
  [[nodiscard]] const std::string& shown_text(const Request& request) const {
    return options_.arguments && !request.argument_text.empty() ? request.argument_text : request.text;
  }

  /// The right function, those that belong beside it, some of its domain, and any others; in random order.
  [[nodiscard]] std::vector<std::size_t> choose_functions(const Request& request, Xoshiro256& random) const {
    const auto n = static_cast<std::size_t>(std::max(2, draw(list_size_, random)));
    std::vector<std::size_t> listed = {request.function};
    const auto add = [&](std::size_t f) {
      const Function& function = corpus_.functions[f];
      if (listed.size() >= n || (options_.unseen == UnseenFunctions::kExclude && function.held_out)) return;
      for (const std::size_t other : listed) {
        if (corpus_.functions[other].name == function.name) return;
      }
      listed.push_back(f);
    };
    std::vector<std::size_t> companions = request.companions;
    shuffle(companions, random);
    for (const std::size_t f : companions) add(f);

    std::vector<std::size_t> pool(corpus_.functions.size());
    std::iota(pool.begin(), pool.end(), std::size_t{0});
    shuffle(pool, random);
    const std::string& domain = corpus_.functions[request.function].domain;
    const bool is_sgd = corpus_.source == TaskSource::kSgd;
    const auto own = std::count_if(pool.begin(), pool.end(),
                                   [&](std::size_t f) { return !corpus_.functions[f].listed_only; });
    // A data set that fits into the list is listed whole; of a larger one up to half the rest is of the same
    // domain.
    const bool fits = !is_sgd && static_cast<std::size_t>(own) <= n;
    const std::size_t n_hard = fits ? n : listed.size() + random.below((n - listed.size()) / 2 + 1);
    for (const std::size_t f : pool) {
      const Function& function = corpus_.functions[f];
      const bool hard = fits ? !function.listed_only : function.domain == domain && !is_sgd;
      if (listed.size() < n_hard && hard) add(f);
    }
    // Services of one domain offer the same under several names: without the dialogue's own, none would be
    // wrong.
    for (const std::size_t f : pool) {
      if (!is_sgd || corpus_.functions[f].domain != domain) add(f);
    }
    shuffle(listed, random);
    return listed;
  }

  void append_function(std::size_t f, const Names& names, const Request& request, Xoshiro256& random,
                       std::string& prompt) const {
    const Function& function = corpus_.functions[f];
    prompt += names.at(f);
    if (options_.arguments) {
      prompt += '(';
      for (std::size_t i = 0; i < function.parameters.size(); ++i)
        prompt += (i > 0 ? ", " : "") + function.parameters[i];
      prompt += ')';
    }
    if (!examples_[f].empty() && chance(options_.by_example, random)) {
      const std::string& example =
          shown_text(corpus_.requests[examples_[f][random.below(examples_[f].size())]]);
      if (plain_words(example) != plain_words(shown_text(request))) {
        prompt += concat(": ", example, "\n");
        return;
      }
    }
    const std::string& description = function.descriptions[random.below(function.descriptions.size())];
    prompt += concat(": ", description, "\n");
  }

  void append_examples(const Request& request, std::vector<std::size_t> functions, const Names& names,
                       Xoshiro256& random, TaskItem& item) const {
    const auto n = static_cast<std::size_t>(std::max(0, draw(options_.few_shot, random)));
    std::erase_if(functions, [&](std::size_t f) { return examples_[f].empty(); });
    shuffle(functions, random);
    std::size_t made = 0;
    std::vector<std::string> taken = {plain_words(shown_text(request))};
    for (std::size_t attempt = 0; !functions.empty() && made < n && attempt < 4 * n; ++attempt) {
      const std::vector<std::size_t>& pool = examples_[functions[attempt % functions.size()]];
      const Request& example = corpus_.requests[pool[random.below(pool.size())]];
      std::string words = plain_words(shown_text(example));
      if (std::find(taken.begin(), taken.end(), words) != taken.end()) continue;
      taken.push_back(std::move(words));
      const std::string& name = names.at(example.function);
      item.prompt +=
          concat("Request: ", shown_text(example), "\n", options_.arguments ? "Call:" : "Function:");
      const std::size_t begin = item.prompt.size();
      item.prompt += concat(" ", options_.arguments ? call_text(name, example.arguments) : name);
      item.solved.emplace_back(begin, item.prompt.size());
      item.prompt += '\n';
      ++made;
    }
  }

  /// The names of functions that are not listed, behind those that are.
  void add_other_names(TaskItem& item) const {
    std::set<std::string> known(item.choices.begin(), item.choices.end());
    for (const Function& function : corpus_.functions) {
      if (options_.unseen == UnseenFunctions::kExclude && function.held_out) continue;
      if (known.insert(" " + function.name).second) item.choices.push_back(" " + function.name);
    }
  }

  static void add_calls(const Function& function, const Request& request, Xoshiro256& random,
                        TaskItem& item) {
    std::vector<std::string> calls = corrupted_calls(function, request, kWrongCalls, random);
    if (calls.size() < kWrongCalls) return;
    item.answer = random.below(calls.size() + 1);
    calls.insert(calls.begin() + static_cast<std::ptrdiff_t>(item.answer),
                 call_text(function.name, request.arguments));
    for (const std::string& call : calls) item.choices.push_back(" " + call);
  }

  const Corpus& corpus_;
  const TaskOptions& options_;
  CountRange list_size_;
  std::vector<std::vector<std::size_t>> examples_;  ///< of each function: requests that may be shown solved
};

}  // namespace

Result<std::vector<TaskItem>> build_items(const Corpus& corpus, const TaskOptions& options) {
  const PromptBuilder builder(corpus, options);
  std::vector<const Request*> wanted;
  for (const Request& request : corpus.requests) {
    if (builder.is_wanted(request)) wanted.push_back(&request);
  }
  std::size_t n = wanted.size();
  if (options.max_items > 0) n = std::min(n, static_cast<std::size_t>(options.max_items));
  ProgressMeter progress(options.progress, "tasks");
  std::vector<TaskItem> items;
  for (std::size_t i = 0; i < n; ++i) {
    ELMS_ASSIGN_OR_RETURN(TaskItem item, builder.build(*wanted[i * wanted.size() / n]));
    if (!item.choices.empty()) items.push_back(std::move(item));
    ELMS_RETURN_IF_ERROR(progress.report(static_cast<double>(i + 1) / static_cast<double>(n)));
  }
  // Files are sorted by function, which is no order to learn in.
  Xoshiro256 random(options.seed);
  shuffle(items, random);
  return items;
}

}  // namespace elms::inline v0::offline::tasks
