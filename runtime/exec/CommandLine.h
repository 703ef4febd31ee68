// What the programs of the runtime share on their command lines.
#pragma once

#include "runtime/exec/Main.h"
#include "runtime/exec/Session.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>

namespace qlr {

/// Adds --version, and makes the help speak of `qlr VERB`.
void describeProgram(CLI::App &app, const std::string &verb, const std::string &what);

/// Parses the command line. Returns the exit code where the program ends here (--help, --version, a usage error).
std::optional<int> parseCommandLine(CLI::App &app, std::vector<std::string> arguments);

/// Adds --embedding and --head.
void addPlacementFlags(CLI::App &app, DeviceOptions &options);

/// Adds --device, --threads, --cpu-level, --memory-limit, those of addPlacementFlags and, when `context`, --ctx-size.
/// Call finish() after parsing.
class SessionFlags {
public:
  SessionFlags(CLI::App &app, bool context);
  /// The options as given; throws Error for values that make no sense.
  SessionOptions finish() const;

private:
  SessionOptions options;
  std::string memoryLimit;
};

/// Prints one JSON object on standard output, floats with all their digits; bytes that are no UTF-8 are replaced.
void printJson(const nlohmann::json &value);

/// The whole of a text file, or of standard input for "-".
std::string readText(const std::string &path);

/// A line that says how far a long job is: rewritten in place on a terminal, else printed now and then.
class Progress {
public:
  Progress(std::string unit, uint64_t total);
  /// `done` of the total are finished; `text` says more.
  void update(uint64_t done, const std::string &text);
  /// Ends the line on a terminal.
  void finish();

private:
  std::string unit;
  uint64_t total, shown = 0;
  double begin, last = 0;
  bool terminal;
};

/// Seconds of a clock that only goes forward.
double now();

/// "1 h 02 min", "3 min 20 s", "12 s".
std::string formatDuration(double seconds);

} // namespace qlr
