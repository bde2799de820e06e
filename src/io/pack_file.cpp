#include "elms/detail/pack_file.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "elms/detail/content_hash.hpp"
#include "elms/detail/error.hpp"
#include "io/output_file.hpp"

namespace elms::inline v0::detail {
namespace {

constexpr std::string_view kMagic = "ELMSPACK";
// To be raised whenever the meaning of a file changes: its structure, or the order in which the loader lays out rows and
// columns. How a kernel lays out a panel is part of the entry's own `layout`.
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 64, kChecksumAt = 56;
constexpr std::size_t kMinEntryBytes = 4 + 3 * 8;
constexpr std::uint64_t kVectorAlignment = 64, kSectionAlignment = 4096;

std::uint64_t aligned(std::uint64_t n, std::uint64_t alignment) { return (n + alignment - 1) / alignment * alignment; }

std::uint64_t checksum(std::span<const std::uint8_t> index) {
  return ContentHash().add(index.first(kChecksumAt)).add(index.subspan(kHeaderBytes)).value();
}

/// Reads numbers and text one after the other; past the end everything is zero and ok() false.
class Cursor {
 public:
  explicit Cursor(std::span<const std::uint8_t> bytes) : rest_(bytes) {}

  template <typename T>
  T number() {
    T value{};
    const std::span<const std::uint8_t> bytes = take(sizeof(T));
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }
  std::string_view text() {
    const std::span<const std::uint8_t> bytes = take(number<std::uint32_t>());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::span<const std::uint8_t> take(std::size_t n) {
    ok_ = ok_ && n <= rest_.size();
    if (!ok_) return {};
    const std::span<const std::uint8_t> taken = rest_.first(n);
    rest_ = rest_.subspan(n);
    return taken;
  }

  std::span<const std::uint8_t> rest_;
  bool ok_ = true;
};

void append(std::vector<std::uint8_t>& out, const void* bytes, std::size_t n) {
  const auto* first = static_cast<const std::uint8_t*>(bytes);
  out.insert(out.end(), first, first + n);
}
template <typename T>
void append_number(std::vector<std::uint8_t>& out, T value) {
  append(out, &value, sizeof value);
}
void append_text(std::vector<std::uint8_t>& out, std::string_view text) {
  append_number(out, static_cast<std::uint32_t>(text.size()));
  append(out, text.data(), text.size());
}

}  // namespace

Result<PackFile> PackFile::open(const std::string& path, const PackOrigin& origin) {
  ELMS_ASSIGN_OR_RETURN(FileMapping mapping, FileMapping::open(path));
  PackFile file(std::move(mapping));
  ELMS_RETURN_IF_ERROR(file.read_index(origin));
  return file;
}

Status PackFile::read_index(const PackOrigin& origin) {
  const std::span<const std::uint8_t> bytes = mapping_.bytes();
  if (bytes.size() < kHeaderBytes) {
    return malformed(path(), ": expected a pack cache of at least ", kHeaderBytes, " bytes, found ", bytes.size());
  }
  Cursor header(bytes.subspan(kMagic.size(), kHeaderBytes - kMagic.size()));
  if (std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) return malformed(path(), ": is no pack cache");
  const auto version = header.number<std::uint32_t>();
  const auto n_entries = header.number<std::uint32_t>();
  const auto file_bytes = header.number<std::uint64_t>();
  const auto index_bytes = header.number<std::uint64_t>();
  PackOrigin found;
  found.file_bytes = header.number<std::uint64_t>();
  found.modified_ns = header.number<std::int64_t>();
  found.fingerprint = header.number<std::uint64_t>();
  const auto expected_checksum = header.number<std::uint64_t>();
  if (version != kVersion) return unsupported(path(), ": pack cache version ", version, ", this library reads ", kVersion);
  if (file_bytes != bytes.size()) {
    return malformed(path(), ": expected ", file_bytes, " bytes, found ", bytes.size());
  }
  if (index_bytes < kHeaderBytes || index_bytes > bytes.size()) {
    return malformed(path(), ": index of ", index_bytes, " bytes in a file of ", bytes.size());
  }
  const std::span<const std::uint8_t> index = bytes.first(static_cast<std::size_t>(index_bytes));
  if (checksum(index) != expected_checksum) return malformed(path(), ": the checksum of the index is wrong");
  if (found.file_bytes != origin.file_bytes || found.modified_ns != origin.modified_ns ||
      found.fingerprint != origin.fingerprint) {
    return invalid_argument(path(), ": stale: the model has changed since it was packed");
  }
  Cursor cursor(index.subspan(kHeaderBytes));
  found.tag = cursor.text();
  if (found.tag != origin.tag) {
    return invalid_argument(path(), ": packed for other kernels: ", found.tag, "; in use: ", origin.tag);
  }
  if (n_entries > index.size() / kMinEntryBytes) {
    return malformed(path(), ": ", n_entries, " entries in an index of ", index.size(), " bytes");
  }
  entries_.reserve(n_entries);
  for (std::uint32_t i = 0; i < n_entries; ++i) {
    PackEntry entry;
    entry.name = cursor.text();
    entry.layout = cursor.number<std::uint64_t>();
    const auto offset = cursor.number<std::uint64_t>();
    const auto size = cursor.number<std::uint64_t>();
    if (!cursor.ok()) return malformed(path(), ": entry ", i, " ends past the index of ", index.size(), " bytes");
    if (offset > bytes.size() || size > bytes.size() - offset || offset % kVectorAlignment != 0) {
      return malformed(path(), ": entry ", i, ": ", size, " bytes at ", offset, " of ", bytes.size());
    }
    entry.bytes = bytes.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
    entries_.push_back(entry);
  }
  std::sort(entries_.begin(), entries_.end(), [](const PackEntry& a, const PackEntry& b) { return a.name < b.name; });
  return {};
}

const PackEntry* PackFile::find(std::string_view name) const noexcept {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), name,
                                   [](const PackEntry& entry, std::string_view wanted) { return entry.name < wanted; });
  return at != entries_.end() && at->name == name ? &*at : nullptr;
}

struct PackWriter::Impl {
  struct Entry {
    std::string name;
    std::uint64_t layout = 0, offset = 0, size = 0;
    std::vector<std::uint8_t> vector;  ///< empty for a section
  };

  std::vector<Entry> entries;
  OutputFile file;
  std::uint64_t written = 0, file_bytes = 0;
  std::size_t next = 0;  ///< entry to write

  /// Gives everything its place, and returns the size of the index.
  std::uint64_t place(std::string_view tag) {
    std::uint64_t at = kHeaderBytes + 4 + tag.size();
    for (const Entry& entry : entries) at += kMinEntryBytes + entry.name.size();
    for (Entry& entry : entries) {
      if (entry.vector.empty()) continue;
      entry.offset = aligned(at, kVectorAlignment);
      at = entry.offset + entry.size;
    }
    const std::uint64_t index_bytes = at;
    for (Entry& entry : entries) {
      if (!entry.vector.empty()) continue;
      entry.offset = aligned(at, kSectionAlignment);
      at = entry.offset + entry.size;
    }
    file_bytes = at;
    return index_bytes;
  }

  Status write(std::span<const std::uint8_t> bytes) {
    ELMS_RETURN_IF_ERROR(file.write(bytes));
    written += bytes.size();
    return {};
  }
  Status pad_to(std::uint64_t offset) {
    static constexpr std::uint8_t kZeros[kSectionAlignment] = {};
    return write(std::span(kZeros).first(static_cast<std::size_t>(offset - written)));
  }
};

PackWriter::PackWriter() : impl_(std::make_unique<Impl>()) {}
PackWriter::PackWriter(PackWriter&&) noexcept = default;
PackWriter& PackWriter::operator=(PackWriter&&) noexcept = default;
PackWriter::~PackWriter() = default;

std::uint64_t PackWriter::file_bytes() const noexcept { return impl_->file_bytes; }

void PackWriter::add_vector(std::string_view name, std::uint64_t layout, std::span<const float> values) {
  Impl::Entry& entry = impl_->entries.emplace_back();
  entry.name = name;
  entry.layout = layout;
  entry.size = values.size_bytes();
  append(entry.vector, values.data(), values.size_bytes());
}

void PackWriter::add_section(std::string_view name, std::uint64_t layout, std::uint64_t size_bytes) {
  Impl::Entry& entry = impl_->entries.emplace_back();
  entry.name = name;
  entry.layout = layout;
  entry.size = size_bytes;
}

Status PackWriter::begin(const std::string& path, const PackOrigin& origin) {
  Impl& w = *impl_;
  const std::uint64_t index_bytes = w.place(origin.tag);
  std::vector<std::uint8_t> index;
  index.reserve(static_cast<std::size_t>(index_bytes));
  append(index, kMagic.data(), kMagic.size());
  append_number(index, kVersion);
  append_number(index, static_cast<std::uint32_t>(w.entries.size()));
  append_number(index, w.file_bytes);
  append_number(index, index_bytes);
  append_number(index, origin.file_bytes);
  append_number(index, origin.modified_ns);
  append_number(index, origin.fingerprint);
  append_number(index, std::uint64_t{0});
  append_text(index, origin.tag);
  for (const Impl::Entry& entry : w.entries) {
    append_text(index, entry.name);
    append_number(index, entry.layout);
    append_number(index, entry.offset);
    append_number(index, entry.size);
  }
  for (const Impl::Entry& entry : w.entries) {
    if (entry.vector.empty()) continue;
    index.resize(static_cast<std::size_t>(entry.offset));
    append(index, entry.vector.data(), entry.vector.size());
  }
  const std::uint64_t sum = checksum(index);
  std::memcpy(index.data() + kChecksumAt, &sum, sizeof sum);
  ELMS_ASSIGN_OR_RETURN(w.file, OutputFile::create(path));
  return w.write(index);
}

Status PackWriter::write_section(std::span<const std::uint8_t> bytes) {
  Impl& w = *impl_;
  while (w.next < w.entries.size() && !w.entries[w.next].vector.empty()) ++w.next;
  if (w.next == w.entries.size() || w.entries[w.next].size != bytes.size()) {
    return error(StatusCode::kInternal, "pack cache: a section of ", bytes.size(), " bytes that was not announced");
  }
  ELMS_RETURN_IF_ERROR(w.pad_to(w.entries[w.next].offset));
  ++w.next;
  return w.write(bytes);
}

Status PackWriter::finish() {
  if (impl_->written != impl_->file_bytes) {
    return error(StatusCode::kInternal, "pack cache: ", impl_->written, " bytes written of ", impl_->file_bytes);
  }
  return impl_->file.commit();
}

}  // namespace elms::inline v0::detail
