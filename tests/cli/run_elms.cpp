#include "run_elms.hpp"

#include <cstdlib>

#if !defined(_WIN32)
#include <sys/wait.h>
#endif

namespace elms_test {
namespace {

/// For the shell.
std::string quoted(const std::string& word) {
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string text_of(const std::string& path) {
  const auto bytes = read_bytes(path);
  return {bytes.begin(), bytes.end()};
}

void write_text(const std::string& path, const std::string& text) { write_bytes(path, {text.begin(), text.end()}); }

}  // namespace

Finished run_elms(const std::vector<std::string>& arguments, const std::string& input, const std::string& before) {
  const std::string in = scratch_path("stdin"), out = scratch_path("stdout"), err = scratch_path("stderr");
  write_text(in, input);
  std::string line = before;
  line.append(" " ELMS_CLI_COMMAND);
  for (const std::string& argument : arguments) line.append(" ").append(quoted(argument));
  line.append(" <").append(quoted(in)).append(" >").append(quoted(out)).append(" 2>").append(quoted(err));
  int code = std::system(line.c_str());
#if !defined(_WIN32)
  code = WIFEXITED(code) ? WEXITSTATUS(code) : 128 + WTERMSIG(code);
#endif
  return {code, text_of(out), text_of(err)};
}

nlohmann::json elms_json(std::vector<std::string> arguments) {
  arguments.push_back("--json");
  if (arguments.front() != "info") arguments.insert(arguments.end(), {"-t", "1"});
  const Finished finished = run_elms(arguments);
  std::string line;
  for (const std::string& argument : arguments) line += argument + " ";
  INFO(line << "\n" << finished.out << finished.err);
  REQUIRE(finished.code == 0);
  auto json = nlohmann::json::parse(finished.out, nullptr, false);
  REQUIRE_FALSE(json.is_discarded());
  return json;
}

const std::string& random_model() {
  static const std::string path = [] {
    std::string written = scratch_path("random.gguf");
    elms_json({"synth", "--shape",
               R"({"d_model":64,"n_layers":3,"n_heads":4,"n_kv_heads":2,"d_ff":192,"n_vocab":320,"context_length":256})",
               "--type", "f32", "-o", written});
    return written;
  }();
  return path;
}

const std::string& random_text() {
  static const std::string path = [] {
    std::string written = scratch_path("text.txt"), text;
    auto rng = make_rng(71);
    while (text.size() < 2000) text += static_cast<char>(rng() % 6 == 0 ? ' ' : 'a' + static_cast<int>(rng() % 26));
    write_text(written, text);
    return written;
  }();
  return path;
}

}  // namespace elms_test
