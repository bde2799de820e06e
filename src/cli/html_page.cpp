#include "cli/html_page.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "elms/detail/error.hpp"

namespace elms_cli {
namespace {

constexpr const char* kHead =
    "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n<style>\n"
    "  body { font: 15px sans-serif; margin: 2em auto; max-width: 60em; color: #222; background: #fff }\n"
    "  table { border-collapse: collapse } th, td { padding: .2em .7em; text-align: right; border-bottom: "
    "1px solid #ddd }\n"
    "  th:first-child, td:first-child { text-align: left } svg { max-width: 100%; height: auto }\n"
    "  @media (prefers-color-scheme: dark) { body { color: #ddd; background: #16181c } th, td { "
    "border-color: #33373d } }\n"
    "</style>\n";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else
      out += c;
  }
  return out;
}

std::string element(std::string_view tag, std::string_view text) {
  return "<" + std::string(tag) + ">" + escaped(text) + "</" + std::string(tag) + ">";
}

std::string table_row(const std::vector<std::string>& cells, std::string_view tag) {
  std::string out = "<tr>";
  for (const std::string& cell : cells) out += element(tag, cell);
  return out + "</tr>\n";
}

}  // namespace

HtmlPage::HtmlPage(std::string_view title, std::string_view heading)
    : page_(kHead + element("title", title) + "\n" + element("h1", heading) + "\n") {}

void HtmlPage::add_heading(std::string_view text) {
  page_ += element("h2", text) + "\n";
}
void HtmlPage::add_text(std::string_view text) {
  page_ += element("p", text) + "\n";
}
void HtmlPage::add_plot(const Plot& plot) {
  page_ += render_svg(plot);
}

void HtmlPage::add_table(const std::vector<std::string>& header,
                         const std::vector<std::vector<std::string>>& rows) {
  page_ += "<table>\n" + table_row(header, "th");
  for (const std::vector<std::string>& row : rows) page_ += table_row(row, "td");
  page_ += "</table>\n";
}

elms::Status HtmlPage::write(const std::string& path) const {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr)
    return elms::detail::error(elms::StatusCode::kIoError, path, ": ", std::strerror(errno));
  const std::string page = page_ + "</html>\n";
  const bool written = std::fwrite(page.data(), 1, page.size(), file) == page.size();
  const bool closed = std::fclose(file) == 0;
  if (written && closed) return {};
  return elms::detail::error(elms::StatusCode::kIoError, path, ": ", std::strerror(errno));
}

}  // namespace elms_cli
