#include "runtime/exec/Windows.h"

#include "runtime/format/Error.h"
#include "runtime/format/Json.h"

#include <algorithm>

namespace qlr {

Protocol Protocol::parse(const std::string &name) {
  if (name == "gptq-2048")
    return {name, 2048, 0, 2048};
  if (name == "gptq-4096")
    return {name, 4096, 0, 4096};
  if (name == "llama-512")
    return {name, 512, 256, 1024}; // the second half of each window, and never a text of one window
  if (name.rfind("window:", 0) == 0) {
    std::string digits = name.substr(7);
    if (!digits.empty() && digits.size() < 8 && digits.find_first_not_of("0123456789") == std::string::npos &&
        std::stoul(digits) >= 2) {
      uint32_t length = static_cast<uint32_t>(std::stoul(digits));
      return {name, length, 0, length};
    }
  }
  fail({.tensor = "--protocol",
        .found = "'" + name + "'",
        .expected = "gptq-2048, gptq-4096, llama-512 or window:N with N at least 2"});
}

std::vector<std::vector<uint32_t>> cutWindows(std::span<const uint32_t> ids, const Protocol &protocol, uint64_t most,
                                              const std::string &file) {
  if (ids.size() < protocol.minimumTokens)
    fail({.file = file,
          .found = std::to_string(ids.size()) + " tokens",
          .expected = "at least " + std::to_string(protocol.minimumTokens) + " for " + protocol.name,
          .advice = "give a longer text or another --protocol"});
  uint64_t count = ids.size() / protocol.length;
  if (most)
    count = std::min(count, most);
  std::vector<std::vector<uint32_t>> windows;
  for (uint64_t i = 0; i < count; ++i) {
    std::span<const uint32_t> window = ids.subspan(i * protocol.length, protocol.length);
    windows.emplace_back(window.begin(), window.end());
  }
  return windows;
}

std::vector<std::vector<uint32_t>> readWindows(const std::string &path, uint64_t most) {
  const nlohmann::json root = parseJsonFile(path);
  auto refuse = [&](const std::string &found) {
    fail({.file = path, .found = found, .expected = "a list of id lists, or an object with rows[].ids"});
  };
  const nlohmann::json *rows = &root;
  if (root.is_object()) {
    if (!root.contains("rows"))
      refuse("an object without rows");
    rows = &root["rows"];
  }
  if (!rows->is_array() || rows->empty())
    refuse("no list of windows");
  std::vector<std::vector<uint32_t>> windows;
  for (const nlohmann::json &row : *rows) {
    if (most && windows.size() == most)
      break;
    const nlohmann::json &ids = row.is_object() && row.contains("ids") ? row["ids"] : row;
    if (!ids.is_array() || ids.size() < 2)
      refuse(std::to_string(windows.size()).insert(0, "in window ") + " no list of two ids or more");
    std::vector<uint32_t> &window = windows.emplace_back();
    for (const nlohmann::json &id : ids) {
      if (!id.is_number_unsigned() || id.get<uint64_t>() > 0x7fffffff)
        refuse(shown(id) + " in window " + std::to_string(windows.size() - 1));
      window.push_back(id.get<uint32_t>());
    }
  }
  return windows;
}

} // namespace qlr
