//===- TestSupport.h - scratch folders, expected errors, shared data ------===//
#pragma once

#include "runtime/format/Error.h"
#include "runtime/format/MappedFile.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <unistd.h>

namespace qlr::test {

/// A folder of its own, removed at the end.
class TempDir {
public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "qlr-test-XXXXXX").string();
    folder = mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(folder); }
  std::string operator/(const std::string &name) const { return joinPath(folder, name); }
  const std::string &path() const { return folder; }

private:
  std::string folder;
};

inline void writeFile(const std::string &path, std::string_view content) {
  std::ofstream stream(path, std::ios::binary);
  stream.write(content.data(), static_cast<std::streamsize>(content.size()));
  ASSERT_TRUE(stream.good()) << path;
}

inline std::string readFile(const std::string &path) { return std::string(MappedFile::open(path).text()); }

inline std::span<const std::byte> asBytes(std::string_view text) { return std::as_bytes(std::span(text)); }

/// The message of the Error that `action` throws; a failure when it throws none.
template <typename Action> std::string errorOf(Action &&action) {
  try {
    action();
  } catch (const Error &e) {
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << "a message is one line";
    return e.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return {};
}

inline void expectContains(const std::string &text, const std::string &part) {
  EXPECT_NE(text.find(part), std::string::npos) << '"' << part << "\" is not in: " << text;
}

/// A path below ../shared beside the source tree; empty where it is absent.
inline std::string sharedPath(const std::string &path) {
  std::string full = std::string(QLR_SOURCE_DIR) + "/../shared/" + path;
  return std::filesystem::exists(full) ? full : "";
}

} // namespace qlr::test

/// Skips the test, saying why, where ../shared does not have `path`.
#define QLR_NEED_SHARED(variable, path)                                                                                \
  std::string variable = qlr::test::sharedPath(path);                                                                  \
  if (variable.empty())                                                                                                \
  GTEST_SKIP() << "../shared/" << path << " is absent"
