#include "runtime/tokenizer/Bpe.h"
#include "runtime/format/Error.h"

#include <limits>
#include <queue>

namespace qlr {

void Bpe::addMerge(uint32_t left, uint32_t right, uint32_t rank, uint32_t merged) {
  rules[static_cast<uint64_t>(left) << 32 | right] = {rank, merged};
}

const Bpe::Rule *Bpe::find(uint32_t left, uint32_t right) const {
  auto it = rules.find(static_cast<uint64_t>(left) << 32 | right);
  return it == rules.end() ? nullptr : &it->second;
}

namespace {

/// A token of the word while it is merged: a doubly linked list in one array.
struct Symbol {
  uint32_t id;
  int32_t previous, next; // -1: none
  bool alive;
};

struct Candidate {
  uint32_t rank;
  int32_t position; // of the left symbol
  uint32_t merged;

  /// std::priority_queue gives the greatest: the lowest rank, and of equals the leftmost.
  bool operator<(const Candidate &other) const {
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

} // namespace

void Bpe::encode(std::string_view bytes, std::vector<uint32_t> &ids) const {
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    fail({.found = "a piece of text of " + std::to_string(bytes.size()) + " bytes", .expected = "less than 2^31"});
  auto count = static_cast<int32_t>(bytes.size());
  std::vector<Symbol> symbols(bytes.size());
  for (int32_t i = 0; i < count; ++i)
    symbols[static_cast<size_t>(i)] = {byteIds[static_cast<unsigned char>(bytes[static_cast<size_t>(i)])], i - 1,
                                       i + 1 < count ? i + 1 : -1, true};
  auto at = [&](int32_t i) -> Symbol & { return symbols[static_cast<size_t>(i)]; };

  std::vector<Candidate> storage;
  storage.reserve(bytes.size());
  std::priority_queue<Candidate> queue({}, std::move(storage));
  auto consider = [&](int32_t left) {
    if (left < 0 || at(left).next < 0)
      return;
    if (const Rule *rule = find(at(left).id, at(at(left).next).id))
      queue.push({rule->rank, left, rule->merged});
  };
  for (int32_t i = 0; i + 1 < count; ++i)
    consider(i);
  while (!queue.empty()) {
    Candidate top = queue.top();
    queue.pop();
    Symbol &left = at(top.position);
    if (!left.alive || left.next < 0)
      continue;
    // A candidate is stale when one of its two symbols has been merged since.
    const Rule *rule = find(left.id, at(left.next).id);
    if (!rule || rule->merged != top.merged)
      continue;
    Symbol &right = at(left.next);
    left.id = top.merged;
    left.next = right.next;
    right.alive = false;
    if (left.next >= 0)
      at(left.next).previous = top.position;
    consider(left.previous);
    consider(top.position);
  }
  for (int32_t i = 0; i < count; ++i)
    if (at(i).alive)
      ids.push_back(at(i).id);
}

const std::array<uint32_t, 256> &byteAlphabet() {
  static const std::array<uint32_t, 256> alphabet = [] {
    std::array<uint32_t, 256> table{};
    uint32_t next = 256;
    for (uint32_t b = 0; b < 256; ++b) {
      bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
      table[b] = printable ? b : next++;
    }
    return table;
  }();
  return alphabet;
}

bool fromByteAlphabet(std::string_view text, std::string &bytes) {
  static const std::array<int16_t, 512> inverse = [] {
    std::array<int16_t, 512> table;
    table.fill(-1);
    for (uint32_t b = 0; b < 256; ++b)
      table[byteAlphabet()[b]] = static_cast<int16_t>(b);
    return table;
  }();
  bytes.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    auto c = static_cast<unsigned char>(text[i]);
    uint32_t point = c;
    if (c >= 0x80) {
      // The alphabet's characters have one or two bytes.
      if (c < 0xc2 || c > 0xc7 || ++i == text.size())
        return false;
      point = (c & 31u) << 6 | (static_cast<unsigned char>(text[i]) & 63u);
    }
    if (point >= inverse.size() || inverse[point] < 0)
      return false;
    bytes += static_cast<char>(inverse[point]);
  }
  return true;
}

} // namespace qlr
