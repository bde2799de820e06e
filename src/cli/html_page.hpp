// A page of plots and tables that stands alone: no script, nothing loaded from elsewhere.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/plot.hpp"
#include "elms/status.hpp"

namespace elms_cli {

/// Texts are escaped.
class HtmlPage {
 public:
  HtmlPage(std::string_view title, std::string_view heading);

  void add_heading(std::string_view text);
  void add_text(std::string_view text);
  void add_plot(const Plot& plot);
  void add_table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);

  /// kIoError.
  [[nodiscard]] elms::Status write(const std::string& path) const;

 private:
  std::string page_;
};

}  // namespace elms_cli
