#include "io/json_document.hpp"

#include <string>
#include <vector>

namespace elms::inline v0::detail {
namespace {

using nlohmann::json;

/// Builds the value that the parser reads where a document owns it at any time.
class Builder final : public nlohmann::json_sax<json> {
 public:
  explicit Builder(json& root) : root_(root) { open_.reserve(kUsualDepth); }

  bool null() override { return add(json()); }
  bool boolean(bool value) override { return add(json(value)); }
  bool number_integer(number_integer_t value) override { return add(json(value)); }
  bool number_unsigned(number_unsigned_t value) override { return add(json(value)); }
  bool number_float(number_float_t value, const string_t&) override { return add(json(value)); }
  bool string(string_t& value) override { return add(json(std::move(value))); }
  bool binary(binary_t&) override { return false; }  // no text has it
  bool start_object(std::size_t) override { return open(json(json::value_t::object)); }
  bool start_array(std::size_t) override { return open(json(json::value_t::array)); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    name_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  static constexpr std::size_t kUsualDepth = 32;

  json& place(json&& value) {
    if (open_.empty()) return root_ = std::move(value);
    json& parent = *open_.back();
    if (parent.is_array()) return parent.get_ref<json::array_t&>().emplace_back(std::move(value));
    json& member = parent.get_ref<json::object_t&>()[std::move(name_)];
    JsonDocument::take_apart(member);  // of a name that was there before the last one counts
    return member = std::move(value);
  }
  bool add(json&& value) {
    place(std::move(value));
    return true;
  }
  bool open(json&& empty) {
    open_.push_back(&place(std::move(empty)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  json& root_;
  std::vector<json*> open_;  ///< containers that are not complete, the innermost last
  std::string name_;
};

}  // namespace

bool JsonDocument::parse(std::string_view text) {
  Builder builder(root_);
  return json::sax_parse(text.begin(), text.end(), &builder);
}

void JsonDocument::take_apart(json& value) noexcept {
  if (auto* array = value.get_ptr<json::array_t*>()) {
    for (json& element : *array) take_apart(element);
    array->clear();
  } else if (auto* object = value.get_ptr<json::object_t*>()) {
    for (auto& [name, member] : *object) take_apart(member);
    object->clear();
  }
}

}  // namespace elms::inline v0::detail
