#include "runtime/exec/Driver.h"

#include "runtime/exec/Programs.h"
#include "runtime/format/Error.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace qlr {
namespace {

struct Verb {
  const char *name, *summary;
};

constexpr Verb verbs[] = {
    {"compress", "compress a Qwen2 checkpoint"},
    {"compile", "compile a checkpoint, compressed or not, into a .qlr artifact"},
    {"run", "generate text, or chat"},
    {"eval", "measure perplexity, or the divergence from the original"},
    {"bench", "measure speed: prompt and generation"},
    {"inspect", "show tensors, bits, memory needed, provenance"},
    {"tokenize", "turn text into token ids and back"},
};

void printHelp(std::FILE *out) {
  std::fprintf(out,
               "qlr " QLR_VERSION ": compressed Qwen2 models, compiled to machine code\n\nusage: qlr VERB ...\n\n");
  for (const Verb &verb : verbs)
    std::fprintf(out, "  %-9s %s%s\n", verb.name, verb.summary,
                 programBeside(std::string("qlr-") + verb.name).empty() ? " (not installed here)" : "");
  std::fprintf(out, "\nqlr VERB --help says more; so does qlr help VERB. qlr --version names the version.\n");
}

[[noreturn]] void become(const std::string &verb, char **arguments) {
  bool plain = !verb.empty() && verb.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  std::string program = plain ? programBeside("qlr-" + verb) : "";
  if (program.empty())
    fail({.found = "no qlr-" + verb + " beside this program", .expected = "a verb that `qlr help` lists"});
  arguments[0] = program.data();
  execv(program.c_str(), arguments);
  fail({.file = program, .found = std::strerror(errno), .expected = "a program that starts"});
}

} // namespace

int driverMain(int argc, char **argv) {
  std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "--version") {
    std::printf("qlr " QLR_VERSION "\n");
    return 0;
  }
  if (verb == "help" && argc > 2) {
    char help[] = "--help";
    char *arguments[] = {argv[0], help, nullptr};
    become(argv[2], arguments);
  }
  if (verb == "help" || verb == "--help" || verb == "-h") {
    printHelp(stdout);
    return 0;
  }
  if (verb.empty()) {
    printHelp(stderr);
    return 2;
  }
  become(verb, argv + 1);
}

} // namespace qlr
