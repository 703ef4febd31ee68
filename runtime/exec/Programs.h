// Programs of qlr calling one another: where they are, and how one runs another.
#pragma once

#include <string>
#include <vector>

namespace qlr {

/// The folder of the running program.
std::string programDirectory();

/// The path of the program `name` beside the running one, or empty when there is none.
std::string programBeside(const std::string &name);

/// Runs `arguments[0]` and waits. Its standard output goes to this program's standard error, which is kept for people;
/// results are this program's to print. Returns the exit code, or 128 plus the number of the signal that ended it.
int runProgram(const std::vector<std::string> &arguments);

} // namespace qlr
