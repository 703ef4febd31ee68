// Lines of a report.
#pragma once

#include <string>

namespace qlr {

/// What printf would print, up to 1023 bytes.
[[gnu::format(printf, 1, 2)]] std::string formatText(const char *pattern, ...);

} // namespace qlr
