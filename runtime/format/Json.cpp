#include "runtime/format/Json.h"
#include "runtime/format/Error.h"
#include "runtime/format/MappedFile.h"

#include <cmath>
#include <unordered_set>

namespace qlr {

using nlohmann::json;

json parseJson(std::string_view text, const std::string &file, unsigned maxDepth) {
  std::vector<std::unordered_set<std::string>> keys;
  auto check = [&](int depth, json::parse_event_t event, json &value) {
    switch (event) {
    case json::parse_event_t::object_start:
    case json::parse_event_t::array_start:
      if (static_cast<unsigned>(depth) >= maxDepth)
        fail({.file = file,
              .found = "JSON nested deeper than " + std::to_string(maxDepth),
              .expected = "at most " + std::to_string(maxDepth) + " levels",
              .advice = "the file is damaged or hostile"});
      if (event == json::parse_event_t::object_start)
        keys.emplace_back();
      break;
    case json::parse_event_t::key:
      if (!keys.back().insert(value.get<std::string>()).second)
        fail({.file = file,
              .found = "key " + shown(value) + " twice in one JSON object",
              .expected = "every key once",
              .advice = "the file is damaged or hostile"});
      break;
    case json::parse_event_t::object_end:
      keys.pop_back();
      break;
    default:
      break;
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), check);
  } catch (const json::exception &e) {
    std::string what = e.what();
    size_t bracket = what.find("] "); // drop the library's error number
    fail({.file = file,
          .found = bracket == std::string::npos ? what : what.substr(bracket + 2),
          .expected = "valid JSON in UTF-8",
          .advice = "the file is damaged or incomplete: get it again"});
  }
}

json parseJsonFile(const std::string &path, unsigned maxDepth) {
  MappedFile file = MappedFile::open(path);
  refuseImpostor(file.text(), path);
  return parseJson(file.text(), path, maxDepth);
}

std::string shown(const json &value) {
  std::string text;
  if (value.is_structured())
    text = value.is_object() ? "an object" : "a list";
  else
    text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 80)
    text = text.substr(0, 77) + "...";
  return text;
}

JsonObject::JsonObject(const json &object, std::string file, std::string where)
    : value(object), fileName(std::move(file)), where(std::move(where)) {
  if (!object.is_object())
    fail({.file = fileName, .tensor = this->where, .found = shown(object), .expected = "a JSON object"});
}

const json *JsonObject::find(const char *key) const {
  auto it = value.find(key);
  return it == value.end() || it->is_null() ? nullptr : &*it;
}

const json &JsonObject::at(const char *key) const {
  if (const auto *value = find(key))
    return *value;
  refuse(key, nullptr, "a value");
}

void JsonObject::refuse(const char *key, const nlohmann::json *found, const std::string &expected,
                        const std::string &advice) const {
  fail({.file = fileName,
        .tensor = path(key),
        .found = found ? shown(*found) : "nothing",
        .expected = expected,
        .advice = advice});
}

uint64_t JsonObject::integer(const char *key, uint64_t low, uint64_t high) const {
  auto value = optionalInteger(key, low, high);
  if (!value)
    refuse(key, nullptr, "an integer from " + std::to_string(low) + " to " + std::to_string(high));
  return *value;
}

std::optional<uint64_t> JsonObject::optionalInteger(const char *key, uint64_t low, uint64_t high) const {
  const auto *value = find(key);
  if (!value)
    return std::nullopt;
  if (!value->is_number_unsigned() || value->get<uint64_t>() < low || value->get<uint64_t>() > high)
    refuse(key, value, "an integer from " + std::to_string(low) + " to " + std::to_string(high));
  return value->get<uint64_t>();
}

double JsonObject::number(const char *key, double low, double high) const {
  auto value = optionalNumber(key, low, high);
  if (!value)
    refuse(key, nullptr, "a number");
  return *value;
}

std::optional<double> JsonObject::optionalNumber(const char *key, double low, double high) const {
  const auto *value = find(key);
  if (!value)
    return std::nullopt;
  if (!value->is_number() || !(value->get<double>() >= low && value->get<double>() <= high))
    refuse(key, value, "a number from " + shown(low) + " to " + shown(high));
  return value->get<double>();
}

std::string JsonObject::string(const char *key) const {
  const auto &value = at(key);
  if (!value.is_string())
    refuse(key, &value, "a string");
  return value.get<std::string>();
}

std::string JsonObject::string(const char *key, const std::string &otherwise) const {
  return find(key) ? string(key) : otherwise;
}

bool JsonObject::boolean(const char *key, bool otherwise) const {
  const auto *value = find(key);
  if (!value)
    return otherwise;
  if (!value->is_boolean())
    refuse(key, value, "true or false");
  return value->get<bool>();
}

JsonObject JsonObject::object(const char *key) const { return {at(key), fileName, path(key)}; }

const json &JsonObject::array(const char *key, size_t maxSize) const {
  const auto &value = at(key);
  if (!value.is_array())
    refuse(key, &value, "a list");
  if (value.size() > maxSize)
    fail({.file = fileName,
          .tensor = path(key),
          .found = std::to_string(value.size()) + " entries",
          .expected = "at most " + std::to_string(maxSize)});
  return value;
}

} // namespace qlr
