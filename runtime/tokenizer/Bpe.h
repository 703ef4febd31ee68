//===- Bpe.h - byte-level byte-pair encoding ------------------------------===//
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace qlr {

/// The merge rules over token ids, and their application.
class Bpe {
public:
  /// The token of each single byte.
  std::array<uint32_t, 256> byteIds{};

  /// `left` followed by `right` becomes `merged`; a lower rank goes first. A later rule for the same pair wins.
  void addMerge(uint32_t left, uint32_t right, uint32_t rank, uint32_t merged);
  void reserve(size_t merges) { rules.reserve(merges); }
  size_t mergeCount() const { return rules.size(); }

  /// Appends the tokens of one pretoken, which may be a whole text: O(n log n).
  void encode(std::string_view bytes, std::vector<uint32_t> &ids) const;

private:
  struct Rule {
    uint32_t rank, merged;
  };
  const Rule *find(uint32_t left, uint32_t right) const;

  /// Ids are small: a multiplication spreads them over the table.
  struct PairHash {
    size_t operator()(uint64_t key) const {
      key *= 0x9e3779b97f4a7c15ull;
      return key ^ key >> 32;
    }
  };
  std::unordered_map<uint64_t, Rule, PairHash> rules;
};

/// The printable alphabet in which byte-level tokenizers write bytes: the code point of each byte.
const std::array<uint32_t, 256> &byteAlphabet();

/// The bytes that `text` (UTF-8 in that alphabet) stands for; false when it has other characters.
bool fromByteAlphabet(std::string_view text, std::string &bytes);

} // namespace qlr
