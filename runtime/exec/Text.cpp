#include "runtime/exec/Text.h"

#include <cstdarg>
#include <cstdio>

namespace qlr {

std::string formatText(const char *pattern, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

} // namespace qlr
