// What was measured on a GPU, as a table and as JSON.
#pragma once

#include "runtime/cuda/Driver.h"
#include "runtime/cuda/check/Bandwidth.h"
#include "runtime/cuda/check/KernelTimes.h"
#include "runtime/cuda/check/Parity.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace qlr::cuda {

struct ParityRow {
  std::string model, error; ///< `error`: why there is no result
  Comparison result;
  bool sameTwice = false;     ///< the same bits again
  bool sameElsewhere = false; ///< and with embedding and head in the other memory

  bool passed() const { return error.empty() && result.passed && sameTwice && sameElsewhere; }
};

struct ShapeTimes {
  std::string model, target, error;
  ModelTimes times;
};

struct GpuReport {
  DeviceInfo device;
  int driver = 0;
  std::string commit;
  double bound = 0;
  Bandwidth bandwidth;
  std::vector<ParityRow> parity;
  std::vector<ShapeTimes> shapes;

  /// No row failed. Speed decides nothing here.
  bool passed() const;
  std::string toMarkdown() const;
  nlohmann::json toJson() const;

private:
  /// Bytes over time as a share of copy bandwidth.
  double share(uint64_t bytes, double seconds) const {
    return static_cast<double>(bytes) / seconds / 1e9 / bandwidth.copy;
  }
};

} // namespace qlr::cuda
