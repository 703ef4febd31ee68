#include "runtime/format/Error.h"

namespace qlr {

/// Names come from files; a control character in one must not break the one-line rule nor reach a terminal.
static void append(std::string &to, const std::string &text) {
  for (char c : text) {
    bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    to += control ? '?' : c;
  }
}

std::string formatError(const ErrorParts &parts) {
  std::string text;
  append(text, parts.file);
  auto part = [&](const char *separator, const char *label, const std::string &value) {
    if (value.empty())
      return;
    if (!text.empty())
      text += separator;
    text += label;
    append(text, value);
  };
  part(": ", "", parts.tensor);
  part(": ", "found ", parts.found);
  part(parts.found.empty() ? ": " : ", ", "expected ", parts.expected);
  part("; ", "", parts.advice);
  return text;
}

void fail(const ErrorParts &parts) { throw Error(formatError(parts)); }

} // namespace qlr
