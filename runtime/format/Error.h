//===- Error.h - the one error type of qlr --------------------------------===//
#pragma once

#include <stdexcept>
#include <string>

namespace qlr {

/// Every failure a user can meet: one line that says where, what was found, what was expected and what to do.
class Error : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// The parts of a message; empty ones are left out.
struct ErrorParts {
  std::string file = {};
  std::string tensor = {};
  std::string found = {};
  std::string expected = {};
  std::string advice = {};
};

/// "file: tensor: found X, expected Y; advice".
std::string formatError(const ErrorParts &parts);

/// Throws Error with formatError(parts).
[[noreturn]] void fail(const ErrorParts &parts);

} // namespace qlr
