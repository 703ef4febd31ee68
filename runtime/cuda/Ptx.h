// PTX texts of an artifact: what they need of a driver.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qlr {

struct Plan;

/// One kernel's PTX, inside the artifact's tensor; ends with a zero byte that is not part of `text`.
struct PtxText {
  std::string_view text;
  int version = 0;              ///< 78 for ".version 7.8"
  std::string target;           ///< "sm_90"
  bool dependentLaunch = false; ///< waits by itself for the kernel before it (griddepcontrol.wait)
};

/// The texts of kernels/sm_NN: the i-th is that of plan.kernels[i]. Throws Error when there are more or fewer, or when
/// one is no PTX.
std::vector<PtxText> splitPtx(std::span<const std::byte> image, const Plan &plan, const std::string &file);

/// "7.8" for 78.
std::string ptxVersionText(int version);

/// The oldest driver, as cuDriverGetVersion numbers it (11080 = CUDA 11.8), that takes this PTX version.
int driverForPtx(int version);

/// The newest PTX version that a driver takes.
int ptxForDriver(int driver);

} // namespace qlr
