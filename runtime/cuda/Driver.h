// The CUDA driver, opened when it is first needed.
#pragma once

#include "runtime/cuda/DriverApi.h"

#include <string>
#include <vector>

namespace qlr::cuda {

/// "12.4" from the driver's 12040.
std::string versionText(int version);

struct DeviceInfo {
  int ordinal = 0;
  std::string name;
  int capability = 0; ///< 86 for 8.6
  uint64_t memory = 0;
  int multiprocessors = 0, maxThreads = 0;
  int maxSharedBytes = 0; ///< of a block, opted in
  int l2Bytes = 0;
};

/// The driver library with every function resolved, and initialized. One per process.
class Driver {
public:
  /// Opens libcuda.so.1, or what the environment variable QLR_CUDA_DRIVER names. Throws Error that says what is
  /// missing: the library, a function (the driver is too old) or a device.
  static const Driver &get();

  const Api api;
  int version() const { return theVersion; } ///< 12040 for 12.4
  const std::vector<DeviceInfo> &devices() const { return theDevices; }

  /// "CUDA_ERROR_OUT_OF_MEMORY (out of memory)".
  std::string describe(CUresult result) const;
  /// Throws Error unless `result` is success. `what` says what was being done; `expected` and `advice` complete the
  /// message.
  void check(CUresult result, const std::string &what, const std::string &advice = {}) const;

private:
  Driver();
  DeviceInfo describeDevice(int ordinal) const;

  int theVersion = 0;
  std::vector<DeviceInfo> theDevices;
};

} // namespace qlr::cuda
