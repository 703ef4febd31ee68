//===- Tokenizer.h - tokenizer.json of Qwen2 ------------------------------===//
#pragma once

#include "runtime/tokenizer/Bpe.h"
#include "runtime/tokenizer/Regex.h"
#include "runtime/tokenizer/Utf8.h"

#include <deque>
#include <functional>
#include <optional>
#include <span>

namespace qlr {

/// A token that is matched in the text as it stands, before anything else looks at it.
struct AddedToken {
  std::string content;
  uint32_t id = 0;
  bool special = false;
  bool normalized = false; // matched after normalization
};

/// Byte-level BPE with NFC, a split pattern and added tokens, all read from tokenizer.json; anything else is refused by
/// name. Immutable after loading, so usable from several threads.
class Tokenizer {
public:
  /// DIR/tokenizer.json.
  static Tokenizer load(const std::string &dir);
  /// `path` stands in messages.
  static Tokenizer parse(std::string_view json, const std::string &path);

  /// Token ids of valid UTF-8; throws Error naming the byte where it is not. Added tokens in the text become their ids.
  std::vector<uint32_t> encode(std::string_view text) const;
  /// The text; bytes that are no UTF-8 become U+FFFD. Throws Error for ids the tokenizer does not have.
  std::string decode(std::span<const uint32_t> ids, bool skipSpecial = false) const;
  /// The bytes of one token; part of a character for some.
  std::string_view bytes(uint32_t id) const;

  /// One more than the largest id; models may have more rows than that (padding).
  uint32_t vocabSize() const { return static_cast<uint32_t>(tokens.size()); }
  bool has(uint32_t id) const { return id < tokens.size() && tokens[id].present; }
  bool isSpecial(uint32_t id) const { return id < tokens.size() && tokens[id].special; }
  /// The id of an added token, by its text.
  std::optional<uint32_t> addedToken(std::string_view content) const;
  const std::vector<AddedToken> &addedTokens() const { return added; }
  const std::string &path() const { return name; }

private:
  friend class TokenizerLoader;

  struct Token {
    std::string_view bytes;
    bool present = false, special = false;
  };
  /// Finds added tokens, leftmost and of those longest.
  class Matcher {
  public:
    void add(const std::string &content, uint32_t id);
    /// Calls `text` and `token` for the pieces in order.
    void split(std::string_view all, const std::function<void(std::string_view)> &text,
               const std::function<void(uint32_t)> &token) const;

  private:
    std::unordered_map<std::string_view, uint32_t> ids;
    std::vector<size_t> lengths; // descending
    std::array<bool, 256> first{};
  };
  using Cache = std::unordered_map<std::string, std::vector<uint32_t>>;

  void encodePlain(std::string_view text, std::vector<uint32_t> &ids, Cache &cache) const;

  std::string name;
  std::deque<std::string> storage; // what the views below look at; a deque never moves its elements
  std::vector<Token> tokens;
  std::unordered_map<std::string_view, uint32_t> vocabulary; // bytes -> id, tokens of the byte alphabet only
  std::vector<AddedToken> added;
  Matcher raw, afterNormalization;
  Bpe bpe;
  std::vector<Regex> patterns;
  bool nfc = false;
  bool ignoreMerges = false;
};

/// Tokens to text, one at a time, never splitting a character. push() and finish() together give exactly decode().
class StreamDecoder {
public:
  explicit StreamDecoder(const Tokenizer &tokenizer, bool skipSpecial = false)
      : tokenizer(tokenizer), skipSpecial(skipSpecial) {}

  std::string push(uint32_t id);
  std::string finish() { return stream.finish(); }

private:
  const Tokenizer &tokenizer;
  bool skipSpecial;
  Utf8Stream stream;
};

} // namespace qlr
