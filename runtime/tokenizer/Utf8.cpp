#include "runtime/tokenizer/Utf8.h"
#include "runtime/format/Error.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <utf8proc.h>

namespace qlr {

static constexpr std::string_view replacement = "\xef\xbf\xbd";

Utf8Step utf8Step(std::string_view bytes) {
  auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  unsigned char lead = at(0);
  if (lead < 0x80)
    return {Utf8Step::Kind::Character, 1};
  if (lead < 0xc2 || lead > 0xf4)
    return {Utf8Step::Kind::Invalid, 1};
  size_t size = utf8Length(lead);
  for (size_t i = 1; i < size; ++i) {
    if (i == bytes.size())
      return {Utf8Step::Kind::Incomplete, i};
    // The second byte's range excludes overlong forms, surrogates and what lies past U+10FFFF.
    unsigned char low = 0x80, high = 0xbf;
    if (i == 1) {
      low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
      high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    }
    if (at(i) < low || at(i) > high)
      return {Utf8Step::Kind::Invalid, i};
  }
  return {Utf8Step::Kind::Character, size};
}

size_t findInvalidUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    Utf8Step step = utf8Step(text.substr(i, 4));
    if (step.kind != Utf8Step::Kind::Character)
      return i;
    i += step.size;
  }
  return std::string_view::npos;
}

void appendUtf8(std::string &text, uint32_t c) {
  auto put = [&](uint32_t byte) { text += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 | c >> 6);
    put(0x80 | (c & 63));
  } else if (c < 0x10000) {
    put(0xe0 | c >> 12);
    put(0x80 | (c >> 6 & 63));
    put(0x80 | (c & 63));
  } else {
    put(0xf0 | c >> 18);
    put(0x80 | (c >> 12 & 63));
    put(0x80 | (c >> 6 & 63));
    put(0x80 | (c & 63));
  }
}

namespace {

/// Hugging Face's tokenizers normalize with the tables of Unicode 9. These characters came to combine, compose or
/// decompose later; there they are inert, and so they must be here, or the ids would differ.
constexpr struct {
  uint32_t first, last;
} laterCharacters[] = {
    {0x7fd, 0x7fd},     {0x898, 0x89f},     {0x8ca, 0x8d3},     {0x9fe, 0x9fe},     {0xc3c, 0xc3c},
    {0xd3b, 0xd3c},     {0xeba, 0xeba},     {0xece, 0xece},     {0x1715, 0x1715},   {0x1abf, 0x1ace},
    {0x1df6, 0x1dfa},   {0xa82c, 0xa82c},   {0x10d24, 0x10d27}, {0x10eab, 0x10eac}, {0x10efd, 0x10eff},
    {0x10f46, 0x10f50}, {0x10f82, 0x10f85}, {0x11070, 0x11070}, {0x1133b, 0x1133b}, {0x1145e, 0x1145e},
    {0x11839, 0x1183a}, {0x11930, 0x11930}, {0x11935, 0x11935}, {0x11938, 0x11938}, {0x1193d, 0x1193e},
    {0x11943, 0x11943}, {0x119e0, 0x119e0}, {0x11a34, 0x11a34}, {0x11a47, 0x11a47}, {0x11a99, 0x11a99},
    {0x11d42, 0x11d42}, {0x11d44, 0x11d45}, {0x11d97, 0x11d97}, {0x11f41, 0x11f42}, {0x16ff0, 0x16ff1},
    {0x1e08f, 0x1e08f}, {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae}, {0x1e2ec, 0x1e2ef}, {0x1e4ec, 0x1e4ef},
};

bool isLater(uint32_t point) {
  const auto *range = std::lower_bound(std::begin(laterCharacters), std::end(laterCharacters), point,
                                       [](const auto &r, uint32_t c) { return r.last < c; });
  return range != std::end(laterCharacters) && range->first <= point;
}

/// The code point at the start of valid UTF-8.
uint32_t codePoint(std::string_view text) {
  auto lead = static_cast<unsigned char>(text[0]);
  size_t size = utf8Length(lead);
  uint32_t point = size == 1 ? lead : lead & (0x7fu >> size);
  for (size_t i = 1; i < size; ++i)
    point = point << 6 | (static_cast<unsigned char>(text[i]) & 63u);
  return point;
}

void appendNfc(std::string &to, std::string_view text) {
  if (text.empty())
    return;
  utf8proc_uint8_t *result = nullptr;
  utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &result, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  std::unique_ptr<utf8proc_uint8_t, void (*)(void *)> owner(result, std::free);
  if (size < 0)
    fail({.found = std::string("text that cannot be normalized: ") + utf8proc_errmsg(size), .expected = "UTF-8 text"});
  to.append(reinterpret_cast<char *>(result), static_cast<size_t>(size));
}

} // namespace

std::string normalizeNfc(std::string_view text) {
  // Nothing below U+0300 (lead byte 0xCC) changes in or composes to another form.
  bool inert = true;
  for (char c : text)
    inert &= static_cast<unsigned char>(c) < 0xcc;
  if (inert)
    return std::string(text);
  // An inert character separates what stands on its two sides.
  std::string result;
  size_t done = 0;
  for (size_t i = 0; i < text.size();) {
    size_t size = utf8Length(static_cast<unsigned char>(text[i]));
    if (size > 1 && isLater(codePoint(text.substr(i, size)))) {
      appendNfc(result, text.substr(done, i - done));
      result += text.substr(i, size);
      done = i + size;
    }
    i += size;
  }
  appendNfc(result, text.substr(done));
  return result;
}

std::string Utf8Stream::push(std::string_view bytes) {
  held += bytes;
  std::string text;
  size_t i = 0;
  while (i < held.size()) {
    Utf8Step step = utf8Step(std::string_view(held).substr(i, 4));
    if (step.kind == Utf8Step::Kind::Incomplete)
      break;
    text += step.kind == Utf8Step::Kind::Character ? std::string_view(held).substr(i, step.size) : replacement;
    i += step.size;
  }
  held.erase(0, i);
  return text;
}

std::string Utf8Stream::finish() {
  // What is held is the beginning of one character: one maximal subpart.
  std::string text(held.empty() ? std::string_view() : replacement);
  held.clear();
  return text;
}

} // namespace qlr
