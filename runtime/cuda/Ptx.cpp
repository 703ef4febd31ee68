#include "runtime/cuda/Ptx.h"

#include "runtime/format/Error.h"
#include "runtime/format/Plan.h"

#include <cstdio>

namespace qlr {
namespace {

/// PTX ISA, "Release Notes": which version came with which CUDA release.
constexpr struct {
  int ptx, driver;
} releases[] = {{70, 11000}, {71, 11010}, {72, 11020}, {73, 11030}, {74, 11040}, {75, 11050}, {76, 11060},
                {77, 11070}, {78, 11080}, {80, 12000}, {81, 12010}, {82, 12020}, {83, 12030}, {84, 12040},
                {85, 12050}, {86, 12070}, {87, 12080}, {88, 12090}, {90, 13000}};

/// The word after `directive` at the beginning of a line; empty when there is none.
std::string_view wordAfter(std::string_view text, std::string_view directive) {
  for (size_t at = 0; (at = text.find(directive, at)) != std::string_view::npos; at += directive.size()) {
    if (at != 0 && text[at - 1] != '\n')
      continue;
    size_t begin = text.find_first_not_of(" \t", at + directive.size());
    if (begin == std::string_view::npos || begin == at + directive.size())
      continue;
    return text.substr(begin, text.find_first_of(" \t\r\n,", begin) - begin);
  }
  return {};
}

} // namespace

std::string ptxVersionText(int version) { return std::to_string(version / 10) + "." + std::to_string(version % 10); }

int driverForPtx(int version) {
  for (const auto &release : releases)
    if (release.ptx >= version)
      return release.driver;
  return (version / 10 + 4) * 1000 + version % 10 * 10; // PTX 9.x comes with CUDA 13.x
}

int ptxForDriver(int driver) {
  int ptx = 0;
  for (const auto &release : releases)
    if (release.driver <= driver)
      ptx = release.ptx;
  return ptx;
}

std::vector<PtxText> splitPtx(std::span<const std::byte> image, const Plan &plan, const std::string &file) {
  std::vector<PtxText> texts;
  const std::string tensor = "kernels/" + plan.target;
  auto refuse = [&](const std::string &found, const std::string &expected) {
    fail({.file = file, .tensor = tensor, .found = found, .expected = expected, .advice = "compile again"});
  };
  std::string_view rest(reinterpret_cast<const char *>(image.data()), image.size());
  while (!rest.empty()) {
    size_t end = rest.find('\0');
    if (end == std::string_view::npos)
      refuse("a text without its end", "texts that end with a zero byte");
    PtxText &ptx = texts.emplace_back();
    ptx.text = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    std::string version(wordAfter(ptx.text, ".version"));
    int major = 0, minor = 0;
    if (std::sscanf(version.c_str(), "%d.%d", &major, &minor) != 2 || minor > 9)
      refuse("a text without .version", "PTX");
    ptx.version = 10 * major + minor;
    ptx.target = wordAfter(ptx.text, ".target");
    ptx.dependentLaunch = ptx.text.find("griddepcontrol.wait") != std::string_view::npos;
  }
  if (texts.size() != plan.kernels.size())
    refuse(std::to_string(texts.size()) + " kernels", std::to_string(plan.kernels.size()) + " by the plan");
  return texts;
}

} // namespace qlr
