// An experiment: perplexity and time of every level of a model on a text, as CSV and as a plot.
//   width_sweep MODEL.gguf TEXT.txt OUT      writes OUT.csv and OUT.svg
#include <elms/elms.hpp>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

constexpr std::size_t kMaxTokens = 512;

struct Point {
  double width, perplexity, ms_per_token;
};

int report(const elms::Status& status) {
  std::fprintf(stderr, "width_sweep: %s: %s\n", elms::to_string(status.code()), status.message().c_str());
  return 1;
}

/// -log of the probability that `logits` give to `token`.
double loss_of(std::span<const float> logits, elms::TokenId token) {
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
  return std::log(sum) - static_cast<double>(logits[static_cast<std::size_t>(token)]);
}

/// The text is computed in one prefill, which hands out the logits of every position.
elms::Result<Point> measure(elms::Session& session, int level, std::span<const elms::TokenId> tokens) {
  session.reset();
  if (elms::Status status = session.set_level(level); !status.ok()) return status;
  const auto n_vocab = static_cast<std::size_t>(session.model().config().n_vocab);
  double loss = 0.0;
  elms::PrefillOptions options;
  options.on_logits = [&](std::int32_t first, std::int32_t n_rows, std::span<const float> logits) {
    for (std::int32_t row = 0; row < n_rows; ++row) {
      const auto next = static_cast<std::size_t>(first + row) + 1;
      if (next < tokens.size()) loss += loss_of(logits.subspan(static_cast<std::size_t>(row) * n_vocab, n_vocab), tokens[next]);
    }
    return elms::Flow::kContinue;
  };
  const auto start = std::chrono::steady_clock::now();
  if (elms::Status status = session.prefill(tokens, options); !status.ok()) return status;
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
  return Point{session.width(), std::exp(loss / static_cast<double>(tokens.size() - 1)),
               taken.count() / static_cast<double>(tokens.size())};
}

void write_csv(const std::vector<Point>& points, const std::string& path) {
  std::ofstream csv(path);
  csv << "width,perplexity,prefill_ms_per_token\n";
  for (const Point& point : points) csv << point.width << ',' << point.perplexity << ',' << point.ms_per_token << '\n';
}

void write_svg(const std::vector<Point>& points, const std::string& path) {
  double worst = 0.0;
  for (const Point& point : points) worst = std::max(worst, point.perplexity);
  std::ofstream svg(path);
  svg << "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 520 340' font-family='sans-serif' font-size='12'>"
         "<text x='60' y='20'>perplexity by width</text><path d='M60 300H500M60 300V30' stroke='black'/><polyline fill='none' "
         "stroke='steelblue' stroke-width='2' points='";
  const auto x = [](const Point& p) { return 60.0 + 420.0 * p.width; };
  const auto y = [&](const Point& p) { return 300.0 - 260.0 * p.perplexity / worst; };
  for (const Point& point : points) svg << x(point) << ',' << y(point) << ' ';
  svg << "'/>";
  for (const Point& point : points) {
    svg << "<circle cx='" << x(point) << "' cy='" << y(point) << "' r='3'/><text x='" << x(point) - 12 << "' y='" << y(point) - 8
        << "'>" << std::round(point.perplexity * 10) / 10 << "</text><text x='" << x(point) - 10 << "' y='316'>"
        << std::round(point.width * 100) / 100 << "</text>";
  }
  svg << "</svg>\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: width_sweep MODEL.gguf TEXT.txt OUT\n");
    return 2;
  }
  auto model = elms::ElasticModel::open(argv[1]);
  if (!model.has_value()) return report(model.error());
  auto tokenizer = (*model)->tokenizer();
  if (!tokenizer.has_value()) return report(tokenizer.error());
  auto session = elms::Session::create(*model);
  if (!session.has_value()) return report(session.error());

  std::ifstream file(argv[2], std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::vector<elms::TokenId> tokens = (*tokenizer)->encode(text);
  if (tokens.size() < 2) return report({elms::StatusCode::kInvalidArgument, std::string(argv[2]) + ": no text to predict"});
  tokens.resize(std::min({tokens.size(), kMaxTokens, static_cast<std::size_t>(session->context_tokens())}));

  std::vector<Point> points;
  for (int level = 0; level < static_cast<int>((*model)->levels().size()); ++level) {
    auto point = measure(*session, level, tokens);
    if (!point.has_value()) return report(point.error());
    std::printf("width %.2f  perplexity %8.2f  %6.3f ms a token\n", point->width, point->perplexity, point->ms_per_token);
    points.push_back(*point);
  }
  const std::string out = argv[3];
  write_csv(points, out + ".csv");
  write_svg(points, out + ".svg");
  return 0;
}
