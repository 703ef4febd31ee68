// The body of every main.
#pragma once

#include <functional>

namespace qlr {

/// Runs `command` and returns its exit code. An Error is printed as "error: ..." on standard error and becomes 1.
int runMain(const std::function<int()> &command);

} // namespace qlr
