// What an app keeps: one model, one conversation partner, answers within targets. Knows nothing of Java.
#pragma once

#include <elms/elms.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

class Assistant {
 public:
  struct Reply {
    std::string text;
    std::string times;  ///< one line: the plan, predicted and measured times
  };

  /// `refiner` may be empty. Opens both files and starts no thread.
  static elms::Result<std::unique_ptr<Assistant>> open(const std::string& model, const std::string& refiner);

  /// Blocks until the answer is there: call it off the main thread. `on_text` gets the text piece by piece on
  /// the calling thread; false ends the answer. Targets in milliseconds; 0 for none.
  elms::Result<Reply> ask(const std::string& context, const std::string& question, double ttft_ms,
                          double tpot_ms, const std::function<bool(std::string_view)>& on_text);

  /// Ends the answer that is being made; from any thread. The next ask() works again.
  void cancel() noexcept { cancel_.cancel(); }

 private:
  std::shared_ptr<elms::ElasticService> service_;
  elms::CancelToken cancel_;
};
