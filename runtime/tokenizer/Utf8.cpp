#include "runtime/tokenizer/Utf8.h"
#include "runtime/format/Error.h"

#include <cstdlib>
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

std::string normalizeNfc(std::string_view text) {
  // Nothing below U+0300 (lead byte 0xCC) changes in or composes to another form.
  bool inert = true;
  for (char c : text)
    inert &= static_cast<unsigned char>(c) < 0xcc;
  if (inert)
    return std::string(text);
  utf8proc_uint8_t *result = nullptr;
  utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &result, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  std::unique_ptr<utf8proc_uint8_t, void (*)(void *)> owner(result, std::free);
  if (size < 0)
    fail({.found = std::string("text that cannot be normalized: ") + utf8proc_errmsg(size), .expected = "UTF-8 text"});
  return {reinterpret_cast<char *>(result), static_cast<size_t>(size)};
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
