#include "io/safetensors_header.hpp"

#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "elms/detail/error.hpp"

namespace elms::inline v0::detail {
namespace {

using nlohmann::json;
using Entry = SafetensorsFile::Entry;

constexpr std::size_t kMaxDimensions = 8;

/// Follows the parser through
///   { "__metadata__": { key: string, ... }, tensor: { "dtype": string, "shape": [n...], "data_offsets": [n,
///   n] }, ... }
/// and stops it at the first thing that has no place there: nothing is ever built of what the format does not
/// allow, be it nested a million levels deep. A document tree would also hide tensors of the same name.
class HeaderReader final : public json::json_sax_t {
 public:
  explicit HeaderReader(const std::string& file) : file_(file) {}

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return unexpected("a number that is not whole");
  }
  bool binary(binary_t&) override { return unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::kShape && place_ != Place::kOffsets) return unexpected("a number");
    Entry& entry = entries_.back();
    if (place_ == Place::kOffsets) {
      if (n_offsets_ == 2) return fail("has more than 2 data_offsets");
      (n_offsets_++ == 0 ? entry.begin : entry.end) = value;
      return true;
    }
    if (entry.shape.size() == kMaxDimensions) return fail("has more than ", kMaxDimensions, " dimensions");
    entry.shape.push_back(value);
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) return true;
    if (place_ != Place::kTensor || field_ != Field::kType) return unexpected("a string");
    entries_.back().type = std::move(value);
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::kOutside) return go(Place::kTop);
    if (place_ != Place::kTop) return unexpected("an object");
    if (in_metadata_) return go(Place::kMetadata);
    seen_[0] = seen_[1] = seen_[2] = false;
    return go(Place::kTensor);
  }

  bool key(string_t& name) override {
    if (place_ == Place::kTop) return start_entry(name);
    if (place_ == Place::kMetadata) return true;
    for (int i = 0; i < 3; ++i) {
      if (name != kFieldNames[i]) continue;
      if (seen_[i]) return fail("has ", name, " twice");
      seen_[i] = true;
      field_ = static_cast<Field>(i);
      return true;
    }
    return fail("has the unknown key ", name);
  }

  bool end_object() override {
    if (place_ == Place::kTensor) {
      for (int i = 0; i < 3; ++i) {
        if (!seen_[i]) return fail("has no ", kFieldNames[i]);
      }
    }
    return go(place_ == Place::kTop ? Place::kOutside : Place::kTop);
  }

  bool start_array(std::size_t) override {
    if (place_ != Place::kTensor || field_ == Field::kType) return unexpected("an array");
    n_offsets_ = 0;
    return go(field_ == Field::kShape ? Place::kShape : Place::kOffsets);
  }

  bool end_array() override {
    if (place_ == Place::kOffsets && n_offsets_ != 2)
      return fail("has ", n_offsets_, " data_offsets instead of 2");
    return go(Place::kTensor);
  }

  bool parse_error(std::size_t position, const std::string&, const json::exception&) override {
    problem_ = malformed(file_, ": header: expected JSON, found an error at its byte ", position);
    return false;
  }

  /// After the parser stopped.
  Result<std::vector<Entry>> take(bool complete) {
    if (!complete) return std::move(problem_);
    return std::move(entries_);
  }

 private:
  enum class Place : std::uint8_t { kOutside, kTop, kMetadata, kTensor, kShape, kOffsets };
  enum class Field : std::uint8_t { kType, kShape, kOffsets };
  static constexpr const char* kFieldNames[] = {"dtype", "shape", "data_offsets"};

  bool go(Place place) {
    place_ = place;
    return true;
  }

  bool start_entry(string_t& name) {
    in_metadata_ = name == "__metadata__";
    if (!names_.insert(name).second) {
      problem_ = malformed(file_, ": header: tensor ", name, " is there twice");
      return false;
    }
    if (!in_metadata_) entries_.emplace_back().name = std::move(name);
    return true;
  }

  template <typename... Pieces>
  bool fail(const Pieces&... pieces) {
    problem_ = malformed(file_, ": header: tensor ", entries_.back().name, " ", pieces...);
    return false;
  }

  bool unexpected(const char* what) {
    if (place_ == Place::kOutside) {
      problem_ = malformed(file_, ": header: expected a JSON object, found ", what);
    } else if (in_metadata_) {
      problem_ = malformed(file_, ": header: expected __metadata__ to map strings to strings, found ", what);
    } else if (place_ == Place::kTop) {
      return fail("is ", what, " instead of an object");
    } else {
      return fail("has ", what, " in its ", kFieldNames[static_cast<int>(field_)]);
    }
    return false;
  }

  const std::string& file_;
  Status problem_;
  Place place_ = Place::kOutside;
  Field field_ = Field::kType;
  bool in_metadata_ = false;
  bool seen_[3] = {};
  int n_offsets_ = 0;
  std::vector<Entry> entries_;
  std::unordered_set<std::string> names_;
};

}  // namespace

Result<std::vector<Entry>> parse_safetensors_header(std::string_view text, const std::string& file) {
  HeaderReader reader(file);
  const bool complete = json::sax_parse(text.begin(), text.end(), &reader);
  return reader.take(complete);
}

}  // namespace elms::inline v0::detail
