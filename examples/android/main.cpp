// The app's native half without the app: elms_assistant MODEL.gguf [REFINER.gguf [TTFT_MS TPOT_MS]]
// For adb shell, emulators and desktops.
#include <cstdio>
#include <cstdlib>

#include "assistant.hpp"

namespace {
constexpr const char* kScreen =
    "Choose the function that fits the request.\nget_weather: tell the forecast for a place\n"
    "alarm: set a clock to ring at a time\nplay_music: start a song or an album\nmake_call: ring someone on "
    "the phone\n";
constexpr const char* kQuestion = "Request: will it rain in oslo this weekend\nFunction:";

int report(const elms::Status& status) {
  std::fprintf(stderr, "elms_assistant: %s: %s\n", elms::to_string(status.code()), status.message().c_str());
  return 1;
}
}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: elms_assistant MODEL.gguf [REFINER.gguf [TTFT_MS TPOT_MS]]\n");
    return 2;
  }
  auto assistant = Assistant::open(argv[1], argc > 2 ? argv[2] : "");
  if (!assistant.has_value()) return report(assistant.error());
  const double ttft_ms = argc > 4 ? std::atof(argv[3]) : 0.0, tpot_ms = argc > 4 ? std::atof(argv[4]) : 0.0;
  const auto print = [](std::string_view piece) {
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    return true;
  };
  const auto reply = (*assistant)->ask(kScreen, kQuestion, ttft_ms, tpot_ms, print);
  if (!reply.has_value()) return report(reply.error());
  std::printf("\n%s\n", reply->times.c_str());
  return 0;
}
