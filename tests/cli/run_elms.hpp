// Runs the command line tool that was just built.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support.hpp"

namespace elms_test {

struct Finished {
  int code = -1;
  std::string out, err;
};

/// `input` is what the tool reads from standard input; `before` are words before its name, such as a timeout.
Finished run_elms(const std::vector<std::string>& arguments, const std::string& input = {}, const std::string& before = {});

/// Runs with --json on one thread where the command knows threads, expects success, and parses what was printed.
nlohmann::json elms_json(std::vector<std::string> arguments);

/// A small random model, written by the tool itself, once.
const std::string& random_model();
/// Random text as a file, long enough to calibrate and to judge on.
const std::string& random_text();

}  // namespace elms_test
