#include "offline/train/dataset.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "elms/detail/gguf.hpp"
#include "offline/train/mixture.hpp"
#include "offline/train/ops.hpp"
#include "test_model.hpp"

using namespace elms_test;
using namespace elms::offline::train;
using elms::TokenId;

namespace {

std::shared_ptr<const elms::Tokenizer> byte_tokenizer() {
  static const std::string path = write_model(small_shape(), elms::DType::kQ8_0, "dataset_vocab.gguf");
  auto file = elms::detail::GgufFile::open(path);
  REQUIRE_OK(file);
  auto tokenizer = elms::Tokenizer::from_gguf(*file);
  REQUIRE_OK(tokenizer);
  return *tokenizer;
}

std::string write_text(const std::string& name, const std::string& text) {
  std::string path = scratch_path(name);
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

/// A text whose every document is another one.
std::string numbered_documents(std::size_t n) {
  std::string text;
  for (std::size_t i = 0; i < n; ++i)
    text += "Document " + std::to_string(i * 7919) + ".\nIts second line.\n\n";
  return text;
}

std::string numbered_examples(std::size_t n) {
  std::string text;
  for (std::size_t i = 0; i < n; ++i) {
    const std::string number = std::to_string(i);
    text += R"({"prompt": "p)" + std::string(i % 9, 'x') + ":" + R"(", "completion": " c)" + number +
            R"(", "answer": 1})" + "\n";
  }
  return text;
}

DatasetOptions small_rows(std::size_t length, std::size_t n_threads = 1) {
  DatasetOptions options;
  options.length = length;
  options.pool = make_pool(n_threads);
  return options;
}

Dataset open_dataset(const std::vector<DataSource>& sources, const DatasetOptions& options) {
  auto dataset = Dataset::open(sources, *byte_tokenizer(), options);
  REQUIRE_OK(dataset);
  return std::move(*dataset);
}

DataSource source_of(const std::string& path, double weight = 1.0) {
  DataSource source;
  source.path = path;
  source.weight = weight;
  return source;
}

using Row = std::vector<TokenId>;  // tokens, then targets

std::vector<Row> rows_of(const TokenBatch& batch, std::size_t length) {
  std::vector<Row> rows;
  for (std::size_t begin = 0; begin < batch.tokens.size(); begin += length) {
    const auto at = static_cast<std::ptrdiff_t>(begin), n = static_cast<std::ptrdiff_t>(length);
    Row row(batch.tokens.begin() + at, batch.tokens.begin() + at + n);
    row.insert(row.end(), batch.targets.begin() + at, batch.targets.begin() + at + n);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<Row> train_rows(const Dataset& dataset, std::uint64_t step, std::size_t n_rows) {
  TokenBatch batch;
  dataset.train_batch(step, n_rows, batch);
  return rows_of(batch, dataset.length());
}

std::vector<Row> valid_rows(const Dataset& dataset) {
  TokenBatch batch;
  dataset.valid_batch(0, dataset.n_valid_rows(), batch);
  return rows_of(batch, dataset.length());
}

std::string text_of_targets(const TokenBatch& batch) {
  std::string text;
  for (const TokenId target : batch.targets) {
    if (target != kIgnoredTarget) text += byte_tokenizer()->token_bytes(target);
  }
  return text;
}

std::string error_of(const std::vector<DataSource>& sources, const DatasetOptions& options) {
  const auto dataset = Dataset::open(sources, *byte_tokenizer(), options);
  REQUIRE_FALSE(dataset.has_value());
  return dataset.error().message();
}

}  // namespace

TEST_CASE("dataset: documents lie between BOS and EOS, and every token but BOS is a target once", "[train]") {
  const auto tokenizer = byte_tokenizer();
  const std::string path =
      write_text("documents.txt", "\xEF\xBB\xBF\n\nOne\nline\r\n  \nTw\xC3\xB6 \xE2\x82\xAC\n\n\n\nThree");
  const Dataset dataset = open_dataset({source_of(path)}, small_rows(7));
  std::vector<TokenId> stream;
  for (const char* document : {"One\nline", "Tw\xC3\xB6 \xE2\x82\xAC", "Three"}) {
    const auto tokens = tokenizer->encode(document, {.add_special = false});
    stream.push_back(tokenizer->bos());
    stream.insert(stream.end(), tokens.begin(), tokens.end());
    stream.push_back(tokenizer->eos());
  }
  REQUIRE(dataset.statistics()[0].n_items == 3);
  CHECK(dataset.statistics()[0].n_tokens == stream.size());
  CHECK(dataset.statistics()[0].n_targets == stream.size() - 3);
  REQUIRE(dataset.n_train_rows() == (stream.size() + 6) / 7);

  std::vector<Row> expected;
  for (std::size_t begin = 0; begin < stream.size(); begin += 7) {
    Row row(14, kIgnoredTarget);
    for (std::size_t i = 0; i < 7; ++i) {
      const std::size_t at = begin + i;
      row[i] = at < stream.size() ? stream[at] : tokenizer->eos();
      if (at + 1 < stream.size() && stream[at + 1] != tokenizer->bos()) row[7 + i] = stream[at + 1];
    }
    expected.push_back(row);
  }
  std::vector<Row> found = train_rows(dataset, 0, dataset.n_train_rows());
  std::sort(expected.begin(), expected.end());
  std::sort(found.begin(), found.end());
  CHECK(found == expected);
}

TEST_CASE("dataset: the loss of an example is on its completion and the end", "[train]") {
  const auto tokenizer = byte_tokenizer();
  const std::string path = write_text("one.jsonl", R"({"prompt": "Ask: h\u00e9", "completion": " yes\n"})");
  for (const bool all : {false, true}) {
    DataSource source = source_of(path);
    source.learnt = all ? LearntText::kAll : LearntText::kCompletion;
    const Dataset dataset = open_dataset({source}, small_rows(32));
    REQUIRE(dataset.n_train_rows() == 1);
    TokenBatch batch;
    dataset.train_batch(0, 1, batch);
    const auto text = tokenizer->encode("Ask: h\xC3\xA9 yes\n", {.add_special = false});
    const auto prompt = tokenizer->encode("Ask: h\xC3\xA9", {.add_special = false});
    CHECK(batch.tokens[0] == tokenizer->bos());
    CHECK(std::equal(text.begin(), text.end(), batch.tokens.begin() + 1));
    for (std::size_t i = 0; i < 32; ++i) {
      INFO("position " << i);
      const bool has_loss = i <= text.size() && (all || i >= prompt.size());
      CHECK(batch.targets[i] == (!has_loss ? kIgnoredTarget : i < text.size() ? text[i] : tokenizer->eos()));
    }
  }
}

TEST_CASE("dataset: answers that a prompt shows are learnt on request", "[train]") {
  const std::string path =
      write_text("solved.jsonl", R"({"prompt": "Q1 A1 Q2 A2 Q3", "completion": " A3", "solved": [[2, 5], [8, 11]]})");
  for (const LearntText learnt : {LearntText::kCompletion, LearntText::kAnswers}) {
    DataSource source = source_of(path);
    source.learnt = learnt;
    TokenBatch batch;
    open_dataset({source}, small_rows(48)).train_batch(0, 1, batch);
    CHECK(text_of_targets(batch) == (learnt == LearntText::kAnswers ? " A1 A2 A3" : " A3"));
  }
}

TEST_CASE("dataset: examples are packed whole, each once", "[train]") {
  constexpr std::size_t kExamples = 500;
  const std::string path = write_text("packed.jsonl", numbered_examples(kExamples));
  const Dataset dataset = open_dataset({source_of(path)}, small_rows(48));
  CHECK(dataset.statistics()[0].n_items == kExamples);
  CHECK_FALSE(dataset.statistics()[0].is_text);
  CHECK(static_cast<double>(dataset.n_train_tokens()) >
        0.85 * static_cast<double>(dataset.n_train_rows() * 48));

  TokenBatch batch;
  dataset.train_batch(0, dataset.n_train_rows(), batch);
  std::multiset<std::string> completions;
  std::string completion;
  for (std::size_t i = 0; i < batch.targets.size(); ++i) {
    if (i % 48 == 0) CHECK(completion.empty());  // none goes on in the next row
    const TokenId target = batch.targets[i];
    if (target == kIgnoredTarget) continue;
    if (i % 48 != 47) CHECK(target == batch.tokens[i + 1]);
    if (target != byte_tokenizer()->eos()) {
      completion += byte_tokenizer()->token_bytes(target);
    } else {
      completions.insert(std::exchange(completion, ""));
    }
  }
  REQUIRE(completions.size() == kExamples);
  for (std::size_t i = 0; i < kExamples; ++i) CHECK(completions.count(" c" + std::to_string(i)) == 1);
}

TEST_CASE("dataset: an example that does not fit is left out, or loses the start of its prompt", "[train]") {
  const std::string path = write_text("long.jsonl",
                                      R"({"prompt": "0123456789abcdef", "completion": "XY"}
{"prompt": "q", "completion": "a completion that is too long"}
{"prompt": "q", "completion": "r"}
)");
  DatasetOptions options = small_rows(10);
  Dataset dataset = open_dataset({source_of(path)}, options);
  CHECK(dataset.statistics()[0].n_items == 1);
  CHECK(dataset.statistics()[0].n_too_long == 2);
  options.shorten_prompts = true;
  dataset = open_dataset({source_of(path)}, options);
  CHECK(dataset.statistics()[0].n_items == 2);
  CHECK(dataset.statistics()[0].n_too_long == 1);
  CHECK(dataset.statistics()[0].n_shortened == 1);
  for (const Row& row : train_rows(dataset, 0, dataset.n_train_rows())) {
    CHECK(row[0] == byte_tokenizer()->bos());
    const std::string text = byte_tokenizer()->decode(std::span(row).first(10));
    CHECK((text.find("abcdefXY") != text.npos || text.find("qr") != text.npos));
  }
}

TEST_CASE("dataset: an epoch has every row once, in another order each time", "[train]") {
  const std::string path = write_text("epoch.txt", numbered_documents(200));
  DatasetOptions options = small_rows(16);
  options.valid_fraction = 0.1;
  const Dataset dataset = open_dataset({source_of(path)}, options);
  const std::size_t n = dataset.n_train_rows();
  REQUIRE(n > 200);
  const std::vector<Row> first = train_rows(dataset, 0, n), second = train_rows(dataset, 1, n);
  CHECK(first != second);
  CHECK(std::is_permutation(first.begin(), first.end(), second.begin()));
  CHECK_FALSE(std::is_sorted(first.begin(), first.end()));
  options.seed = 2;
  CHECK(train_rows(open_dataset({source_of(path)}, options), 0, n) != first);

  // Together with the validation rows, these are the rows of the whole text.
  options.valid_fraction = 0.0;
  const Dataset whole = open_dataset({source_of(path)}, options);
  REQUIRE(whole.n_train_rows() == n + dataset.n_valid_rows());
  std::vector<Row> all = train_rows(whole, 0, whole.n_train_rows()), parts = first;
  for (const Row& row : valid_rows(dataset)) parts.push_back(row);
  std::sort(all.begin(), all.end());
  std::sort(parts.begin(), parts.end());
  CHECK(parts == all);
}

TEST_CASE("dataset: a validation row is in no training batch", "[train]") {
  const std::string text = write_text("split.txt", numbered_documents(150));
  const std::string lines = write_text("split.jsonl", numbered_examples(300));
  DatasetOptions options = small_rows(40);
  options.valid_fraction = 0.2;
  const Dataset dataset = open_dataset({source_of(text, 3), source_of(lines)}, options);
  const std::vector<Row> valid = valid_rows(dataset);
  const std::set<Row> held_out(valid.begin(), valid.end());
  REQUIRE(held_out.size() == dataset.n_valid_rows());  // all differ
  const auto& facts = dataset.statistics();
  CHECK(facts[0].n_valid_rows == (facts[0].n_train_rows + facts[0].n_valid_rows) / 5);
  CHECK(facts[1].first_valid_row == facts[0].n_valid_rows);
  for (std::uint64_t step = 0; step < 200; ++step) {
    for (const Row& row : train_rows(dataset, step, 8)) CHECK(held_out.count(row) == 0);
  }
  TokenBatch behind;
  dataset.valid_batch(dataset.n_valid_rows(), 1, behind);
  CHECK(std::count(behind.targets.begin(), behind.targets.end(), kIgnoredTarget) == 40);
}

TEST_CASE("dataset: a batch depends on seed and step only", "[train][threads]") {
  const std::string text = write_text("resume.txt", numbered_documents(3000));
  const std::string lines = write_text("resume.jsonl", numbered_examples(2000));
  const std::vector<DataSource> sources = {source_of(text, 2), source_of(lines, 5)};
  const Dataset one = open_dataset(sources, small_rows(64, 1)),
                four = open_dataset(sources, small_rows(64, 4));
  std::vector<std::vector<Row>> run;
  for (std::uint64_t step = 0; step < 60; ++step) run.push_back(train_rows(one, step, 3));
  for (const std::uint64_t step : {59, 0, 17, 33}) CHECK(train_rows(four, step, 3) == run[step]);
  // A batch of another size is the same sequence, cut differently.
  const std::vector<Row> longer = train_rows(four, 1, 6);
  CHECK(std::equal(longer.begin(), longer.begin() + 3, run[2].begin()));
  CHECK(std::equal(longer.begin() + 3, longer.end(), run[3].begin()));
}

TEST_CASE("mixture: sources have their shares at any time", "[train]") {
  const std::vector<double> weights = {2, 5, 0.0001, 1.5};
  const Mixture mixture(weights);
  std::vector<std::uint64_t> drawn(weights.size());
  for (std::uint64_t i = 0; i < 3 * Mixture::kPeriod + 100; ++i) {
    const Mixture::Draw draw = mixture.draw(i);
    REQUIRE(draw.index == drawn[draw.source]);
    ++drawn[draw.source];
    for (std::size_t s = 0; s < weights.size(); ++s) {
      const double owed = static_cast<double>(i + 1) * mixture.share(s);
      REQUIRE(std::abs(owed - static_cast<double>(drawn[s])) < 2.0);
    }
  }
  CHECK(mixture.share(0) == Approx(2 / 8.5).margin(2.0 / Mixture::kPeriod));
  CHECK(mixture.share(2) > 0.0);
  const Mixture many(std::vector<double>(Mixture::kPeriod, 1.0));
  CHECK(many.draw(Mixture::kPeriod).index == 1);
}

TEST_CASE("mixture: shuffled is a permutation for every key", "[train]") {
  for (const std::uint64_t n : {1, 2, 3, 5, 16, 17, 1000, 4096}) {
    std::set<std::uint64_t> seen;
    for (std::uint64_t i = 0; i < n; ++i) {
      const std::uint64_t to = shuffled(i, n, 42 + n);
      REQUIRE(to < n);
      seen.insert(to);
    }
    CHECK(seen.size() == n);
  }
  std::size_t moved = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) moved += shuffled(i, 1000, 1) != shuffled(i, 1000, 2) ? 1 : 0;
  CHECK(moved > 950);
}

TEST_CASE("dataset: hostile lines are refused with their number", "[train]") {
  const auto error_for = [](const std::string& line) {
    const std::string good = R"({"prompt": "a", "completion": "b"})";
    return error_of({source_of(write_text("hostile.jsonl", good + "\n\n" + line + "\n" + good))},
                    small_rows(32));
  };
  for (const std::string line :
       {"{", "[]", "null", "{\"prompt\": \"a\"}", "{\"completion\": \"b\"}",
        "{\"prompt\": 1, \"completion\": \"b\"}", "{\"prompt\": \"a\", \"completion\": [\"b\"]}",
        "{\"text\": \"a document among examples\"}", "{\"text\": \"a\", \"prompt\": \"b\"}",
        "{\"prompt\": \"\xFF\", \"completion\": \"b\"}", "{} {}",
        "{\"prompt\": \"a\", \"completion\": \"b\", \"solved\": [[0, 2]]}",
        "{\"prompt\": \"ab\", \"completion\": \"b\", \"solved\": [[1, 2], [0, 1]]}",
        "{\"prompt\": \"ab\", \"completion\": \"b\", \"solved\": [[1, -1]]}",
        "{\"prompt\": \"ab\", \"completion\": \"b\", \"solved\": \"all\"}"}) {
    INFO(line);
    CHECK(error_for(line).find("hostile.jsonl:3") != std::string::npos);
  }
  CHECK(error_for(std::string(100000, '[')).find("hostile.jsonl:3") != std::string::npos);
}

TEST_CASE("dataset: what cannot work is refused", "[train]") {
  const std::string text = write_text("fine.txt", "text");
  CHECK(error_of({}, small_rows(16)).find("0 sources") != std::string::npos);
  CHECK(error_of({source_of(text)}, small_rows(1)).find("rows of 1") != std::string::npos);
  CHECK(error_of({source_of(text, 0.0)}, small_rows(16)).find("weight") != std::string::npos);
  CHECK(error_of({source_of(scratch_path("absent.txt"))}, small_rows(16)).find("absent.txt") !=
        std::string::npos);
  CHECK(error_of({source_of(write_text("blank.txt", " \n\n"))}, small_rows(16)).find("no row") !=
        std::string::npos);
  CHECK(error_of({source_of(write_text("blank.jsonl", "\n"))}, small_rows(16)).find("no row") !=
        std::string::npos);
  DatasetOptions cancelled = small_rows(16);
  cancelled.progress = [](const elms::offline::Progress&) { return elms::Flow::kStop; };
  const auto dataset = Dataset::open({source_of(text)}, *byte_tokenizer(), cancelled);
  CHECK(dataset.error().code() == elms::StatusCode::kCancelled);
}

TEST_CASE("dataset: documents of JSON lines, of whole files and between separators", "[train]") {
  const std::string json = write_text("texts.jsonl", "{\"text\": \"one\\n\\ntwo\"}\n{\"text\": \"three\"}\n");
  const std::string text = write_text("separated.txt", "one\n\ntwo\n<|end|>\n<|end|>\nthree\n");
  DataSource separated = source_of(text), whole = source_of(text);
  separated.split = DocumentSplit::kSeparator;
  separated.separator = "<|end|>";
  whole.split = DocumentSplit::kWholeFile;
  const Dataset dataset = open_dataset({source_of(json), separated, whole}, small_rows(64));
  const auto& facts = dataset.statistics();
  CHECK(facts[0].n_items == 2);
  CHECK(facts[0].is_text);
  CHECK(facts[1].n_items == 2);
  CHECK(facts[1].n_tokens == facts[0].n_tokens);
  CHECK(facts[2].n_items == 1);
  TokenBatch batch;
  open_dataset({separated}, small_rows(64)).train_batch(0, 1, batch);
  CHECK(text_of_targets(batch) == " one\n\ntwo three");
}

TEST_CASE("dataset: sources as a command line names them", "[train]") {
  auto sources = parse_data_sources(
      "wiki.txt:2,tasks.jsonl:0.5:loss=all,C:\\a b.txt,stories.txt:split=<|end|>:3,b.txt:split=file");
  REQUIRE_OK(sources);
  REQUIRE(sources->size() == 5);
  CHECK((*sources)[0].path == "wiki.txt");
  CHECK((*sources)[0].weight == 2.0);
  CHECK((*sources)[1].weight == 0.5);
  CHECK((*sources)[1].learnt == LearntText::kAll);
  CHECK((*sources)[2].path == "C:\\a b.txt");
  CHECK((*sources)[2].weight == 1.0);
  CHECK((*sources)[3].separator == "<|end|>");
  CHECK((*sources)[3].weight == 3.0);
  CHECK((*sources)[4].split == DocumentSplit::kWholeFile);
  for (const char* wrong : {"", "a.txt,", ":2", "a.txt:0", "a.txt:-1", "a.txt:nan", "a.txt:inf"}) {
    INFO(wrong);
    CHECK_FALSE(parse_data_sources(wrong).has_value());
  }
}
