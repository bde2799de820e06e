// A chat in the terminal whose targets change while you talk: slo_chat MODEL.gguf [REFINER.gguf]
//   /ttft 200, /tpot 30   milliseconds from now on; 0: none    /file NOTES.txt   for the next question
// After each answer: what was planned, what that was predicted to take, and what it took.
#include <cstdio>
#include <cstdlib>
#include <elms/elms.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace {

int report(const elms::Status& status) {
  std::fprintf(stderr, "slo_chat: %s: %s\n", elms::to_string(status.code()), status.message().c_str());
  return 1;
}

void print_times(const char* name, double target_ms, double predicted_ms, double margin_ms, double took_ms) {
  std::printf("  %s predicted %8.2f + %7.2f ms, measured %8.2f, target %8.2f%s\n", name, predicted_ms,
              margin_ms, took_ms, target_ms, took_ms > target_ms ? ": MISSED" : "");
}

void print_answer(const elms::Answer& answer) {
  const elms::Plan& plan = answer.plan;
  std::printf("\n  width %.2f, %d of %d prompt tokens, %d cached, %zu new, %zu changes of level; %s\n",
              plan.width, answer.n_prompt_tokens, answer.n_original_tokens, answer.n_reused_tokens,
              answer.tokens.size(), answer.level_changes.size(), elms::to_string(answer.finish));
  print_times("TTFT", plan.slo.ttft_ms, plan.ttft_ms, plan.ttft_margin_ms, answer.times.ttft_ms);
  print_times("TPOT", plan.slo.tpot_ms, plan.tpot_ms, plan.tpot_margin_ms, answer.times.tpot_ms);
  std::printf("  why: %s\n", plan.reason.c_str());
}

/// The conversation so far: for the model's chat template, or, where it has none, as lines of text.
struct Conversation {
  bool has_template;
  std::vector<elms::ChatMessage> messages;
  std::vector<elms::Segment> files;  // for the next question

  void ask(std::string question) {
    elms::ChatMessage message{"user", std::exchange(files, {})};
    message.content.push_back(elms::Segment::protect(std::move(question), elms::SegmentRole::kQuestion));
    messages.push_back(std::move(message));
  }
  void put_into(elms::ServiceRequest& request) const {
    if (has_template) {
      request.messages = messages;
      return;
    }
    for (const elms::ChatMessage& message : messages) {
      if (!request.prompt.empty() && message.role == "user")
        request.prompt.push_back(elms::Segment::protect("\n"));
      request.prompt.insert(request.prompt.end(), message.content.begin(), message.content.end());
    }
  }
};

void obey(const std::string& line, elms::Slo& slo, Conversation& conversation) {
  const std::string word = line.substr(0, line.find(' ')),
                    rest = line.substr(std::min(line.size(), word.size() + 1));
  const double ms = std::atof(rest.c_str()), target = ms > 0.0 ? ms : elms::Slo().ttft_ms;
  if (word == "/ttft") {
    slo.ttft_ms = target;
  } else if (word == "/tpot") {
    slo.tpot_ms = target;
  } else if (std::ifstream file(rest); word == "/file" && file) {
    conversation.files.push_back(
        elms::Segment::compress(std::string(std::istreambuf_iterator<char>(file), {}) + "\n"));
  } else {
    std::printf("  /ttft MS, /tpot MS, /file PATH\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return report({elms::StatusCode::kInvalidArgument, "slo_chat MODEL.gguf [REFINER.gguf]"});
  elms::ServiceOptions options;
  auto model = elms::ElasticModel::open(argv[1]);
  if (!model.has_value()) return report(model.error());
  options.model = *model;
  if (argc > 2) {
    auto refiner = elms::PromptRefiner::open(argv[2], {.pool = (*model)->pool()});
    if (!refiner.has_value()) return report(refiner.error());
    options.refiner = *refiner;
  }
  auto service = elms::ElasticService::create(options);
  if (!service.has_value()) return report(service.error());

  elms::Slo slo;
  Conversation conversation{elms::ChatTemplate::create(**(*model)->tokenizer()).has_value(), {}, {}};
  std::string line;
  while (std::printf("> "), std::fflush(stdout), std::getline(std::cin, line)) {
    if (line.empty() || line.front() == '/') {
      obey(line, slo, conversation);
      continue;
    }
    conversation.ask(line);
    elms::ServiceRequest request;
    conversation.put_into(request);
    request.slo = slo;
    request.on_text = [](std::string_view piece) {
      std::fwrite(piece.data(), 1, piece.size(), stdout);
      std::fflush(stdout);
      return elms::Flow::kContinue;
    };
    auto answer = (*service)->generate(request);
    if (answer.has_value()) {
      print_answer(*answer);
      conversation.messages.push_back(elms::ChatMessage::assistant(answer->text));
    } else {
      report(answer.error());
      conversation.messages.pop_back();
    }
  }
  return 0;
}
