//===- Utf8.h - UTF-8: validity, normal form, streaming -------------------===//
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace qlr {

/// Bytes of the character that starts with `lead`, in valid UTF-8.
inline size_t utf8Length(unsigned char lead) { return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4; }

/// What the start of some bytes is.
struct Utf8Step {
  enum class Kind { Character, Invalid, Incomplete } kind;
  /// Bytes of it: of an invalid sequence, the part that one U+FFFD replaces (Unicode's "maximal subpart").
  size_t size;
};

/// Looks at the start of non-empty `bytes`. Incomplete: a valid beginning that `bytes` ends in the middle of.
Utf8Step utf8Step(std::string_view bytes);

/// Offset of the first byte that is not valid UTF-8, or npos.
size_t findInvalidUtf8(std::string_view text);

/// Appends code point `c`.
void appendUtf8(std::string &text, uint32_t c);

/// Normal form C of valid UTF-8, by the Unicode version of Hugging Face's tokenizers.
std::string normalizeNfc(std::string_view text);

/// Turns bytes that come in pieces into valid UTF-8: holds back an incomplete character, replaces what cannot be one by
/// U+FFFD. The concatenated results do not depend on how the bytes were cut.
class Utf8Stream {
public:
  /// The text that is complete with `bytes`.
  std::string push(std::string_view bytes);
  /// The rest: U+FFFD when a character was left incomplete.
  std::string finish();

private:
  std::string held;
};

} // namespace qlr
