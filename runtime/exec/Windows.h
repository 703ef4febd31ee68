// How a text is cut for measuring: the named protocols of perplexity.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qlr {

/// Windows do not overlap and the tail is dropped. At each scored position the next token of the window is predicted.
struct Protocol {
  std::string name;
  uint32_t length = 0;        ///< tokens of a window
  uint32_t firstScored = 0;   ///< first position that is scored; the last one never is, nothing follows it
  uint64_t minimumTokens = 0; ///< of the text

  /// gptq-2048, gptq-4096, llama-512 or window:N. Throws Error naming them.
  static Protocol parse(const std::string &name);
};

/// Cuts `ids` for `protocol`; at most `most` windows (0: all). Throws Error naming `file` when the text is too short.
std::vector<std::vector<uint32_t>> cutWindows(std::span<const uint32_t> ids, const Protocol &protocol, uint64_t most,
                                              const std::string &file);

/// The windows of a JSON file: a list of id lists, or an object whose `rows[].ids` they are. Throws Error.
std::vector<std::vector<uint32_t>> readWindows(const std::string &path, uint64_t most);

} // namespace qlr
