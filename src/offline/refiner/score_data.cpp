#include "offline/refiner/score_data.hpp"

#include "elms/detail/error.hpp"
#include "elms/detail/file_mapping.hpp"
#include "offline/jsonl.hpp"
#include "offline/refiner/word_alignment.hpp"

namespace elms::inline v0::offline::refiner {
namespace {

std::string_view text_in(const detail::FileMapping& mapping) {
  return {reinterpret_cast<const char*>(mapping.bytes().data()), mapping.bytes().size()};
}

/// Line-aligned files; the index of a pair is its line, whether pairs before it were left out or not.
Status read_pairs(const RefinerTrainingOptions& options, const TextLabeller& labeller, std::size_t max_tokens,
                  ScoreData& data) {
  ELMS_ASSIGN_OR_RETURN(const detail::FileMapping sentences, detail::FileMapping::open(options.sentences));
  ELMS_ASSIGN_OR_RETURN(const detail::FileMapping compressions,
                        detail::FileMapping::open(options.compressions));
  std::string_view from = text_in(sentences), to = text_in(compressions);
  for (; !from.empty() && !to.empty(); ++data.n_pairs) {
    const std::string_view sentence = take_line(from), compression = take_line(to);
    const std::vector<std::string_view> words = words_of(sentence);
    std::vector<ByteSpan> spans;
    for (const std::string_view word : words) {
      const auto begin = static_cast<std::size_t>(word.data() - sentence.data());
      spans.push_back({begin, begin + word.size()});
    }
    const std::vector<std::uint8_t> kept = kept_words(sentence, spans, compression);
    if (kept.empty()) {
      ++data.n_not_deletions;
      continue;
    }
    LabelledText text;
    for (std::size_t i = 0; i < words.size(); ++i)
      labeller.add_word(words[i], kept[i] != 0 ? 1.0f : 0.0f, 1.0f, text);
    if (text.tokens.empty() || text.tokens.size() > max_tokens) continue;
    if (data.n_pairs >= options.test_from) {
      data.test.push_back(std::move(text));
    } else if (data.n_pairs + options.valid_pairs >= options.test_from) {
      data.valid.push_back(std::move(text));
    } else {
      data.sentences.push_back(std::move(text));
    }
  }
  if (from.empty() != to.empty())
    return detail::malformed(options.compressions, ": has not as many lines as ", options.sentences);
  return {};
}

}  // namespace

Result<ScoreData> read_score_data(const RefinerTrainingOptions& options, const RefinerModel& model) {
  if (options.sentences.empty() || options.compressions.empty())
    return detail::invalid_argument("refiner: the score stage needs sentences and compressions");
  const TextLabeller labeller(*model.tokenizer);
  const std::size_t batch = options.run.batch_rows * options.run.length;
  const std::size_t max_tokens = std::min(model.layout.shape().max_positions, batch) - 2;
  ScoreData data;
  ELMS_RETURN_IF_ERROR(read_pairs(options, labeller, max_tokens, data));
  if (data.sentences.empty()) return detail::invalid_argument(options.sentences, ": no pair to train on");
  for (const std::string& path : options.tasks)
    ELMS_RETURN_IF_ERROR(read_task_prompts(path, options, labeller, max_tokens, data));
  for (const std::string& path : options.meetings)
    ELMS_RETURN_IF_ERROR(read_meetings(path, options, labeller, max_tokens, data));
  return data;
}

}  // namespace elms::inline v0::offline::refiner
