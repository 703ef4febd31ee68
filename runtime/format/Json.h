//===- Json.h - strict JSON from untrusted files --------------------------===//
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace qlr {

/// Parses one JSON value: strict syntax and UTF-8, duplicate keys and nesting deeper than `maxDepth` refused. Errors
/// name `file`.
nlohmann::json parseJson(std::string_view text, const std::string &file, unsigned maxDepth = 64);

/// Maps, checks for LFS pointers and HTML pages, and parses a file.
nlohmann::json parseJsonFile(const std::string &path, unsigned maxDepth = 64);

/// Typed look-ups in one JSON object of one file: every failure names the file, the key, what was found and expected.
class JsonObject {
public:
  /// `where` is the path of keys to `object`, for messages; may be empty. Throws when `object` is not an object.
  JsonObject(const nlohmann::json &object, std::string file, std::string where = {});

  /// Null when the key is absent or its value is null.
  const nlohmann::json *find(const char *key) const;
  const nlohmann::json &at(const char *key) const;

  uint64_t integer(const char *key, uint64_t low, uint64_t high) const;
  std::optional<uint64_t> optionalInteger(const char *key, uint64_t low, uint64_t high) const;
  /// A finite number (an integer is one).
  double number(const char *key, double low, double high) const;
  std::optional<double> optionalNumber(const char *key, double low, double high) const;
  std::string string(const char *key) const;
  std::string string(const char *key, const std::string &otherwise) const;
  bool boolean(const char *key, bool otherwise) const;
  JsonObject object(const char *key) const;
  const nlohmann::json &array(const char *key, size_t maxSize) const;

  const std::string &file() const { return fileName; }
  std::string path(const char *key) const { return where.empty() ? key : where + "." + key; }
  [[noreturn]] void refuse(const char *key, const nlohmann::json *found, const std::string &expected,
                           const std::string &advice = {}) const;

private:
  const nlohmann::json &value;
  std::string fileName, where;
};

/// A value of a file as text for a message, cut to a sane length.
std::string shown(const nlohmann::json &value);

} // namespace qlr
