//===- MappedFile.h - read-only memory-mapped files -----------------------===//
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace qlr {

/// A whole file mapped read-only. Move-only; the mapping lives as long as the object.
class MappedFile {
public:
  MappedFile() = default;
  MappedFile(MappedFile &&other) noexcept;
  MappedFile &operator=(MappedFile &&other) noexcept;
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;
  ~MappedFile();

  /// Throws Error when the file is missing, unreadable or not a regular file.
  static MappedFile open(const std::string &path);

  std::span<const std::byte> bytes() const { return {data, size}; }
  std::string_view text() const { return {reinterpret_cast<const char *>(data), size}; }
  const std::string &path() const { return name; }

private:
  const std::byte *data = nullptr;
  size_t size = 0;
  std::string name;
};

/// Refuses, by name and with advice, what downloads leave in place of a file: a Git LFS pointer or an HTML page.
void refuseImpostor(std::string_view content, const std::string &path);

/// `dir/name`.
std::string joinPath(const std::string &dir, const std::string &name);

/// True when `path` names an existing regular file.
bool fileExists(const std::string &path);

} // namespace qlr
