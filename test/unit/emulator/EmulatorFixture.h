// Kernels from text, compiled and launched.
#pragma once

#include "runtime/emulator/Emulator.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace qlr::test {

/// Completes the text of a kernel's module: target lines before, declarations of the intrinsics it calls behind.
/// `body` is the text of `define ptx_kernel void @k(...)` and of whatever else it needs.
std::string deviceModule(const std::string &body);

/// Compiles modules. Throws Error with what the compiler says.
EmulatorLibrary compileKernels(const std::vector<std::string> &modules, bool instrument = true);

/// The message with which compileKernels refuses `module`, or "" when it does not.
std::string refusal(const std::string &module);

/// A kernel with its memory.
class Device {
public:
  explicit Device(const std::string &body, bool instrument = true)
      : library(compileKernels({deviceModule(body)}, instrument)) {}

  template <typename T> void buffer(std::vector<T> &data, const std::string &name, bool readOnly = false) {
    memory.registerBuffer(data.data(), data.size() * sizeof(T), readOnly, name);
    pointers.push_back(data.data());
  }

  /// The report of the launch, or "" when there was no fault. The buffers are the parameters, in order.
  std::string run(uint32_t grid, uint32_t threads, uint64_t sharedBytes = 0, const LaunchOptions &options = {});

  EmulatorLibrary library;
  EmulatorMemory memory;
  std::vector<void *> pointers;
  LaunchCounts counts;
};

/// A kernel @k(in, out) in which each thread has `inputs` words %x0, %x1, ... of its own, does `code`, which defines
/// %y0, %y1, ..., and stores `outputs` of those. Inputs and outputs lie thread by thread.
std::string perThread(unsigned inputs, const std::string &code, unsigned outputs);

/// Runs such a kernel with one block and returns what it stored; fails the test on a fault.
std::vector<uint32_t> runPerThread(unsigned inputs, const std::string &code, unsigned outputs,
                                   const std::vector<uint32_t> &in, uint32_t threads = 32, uint64_t sharedBytes = 0);

std::vector<uint32_t> randomWords(size_t count, uint32_t seed);

/// Contains, with both texts in the message.
inline ::testing::AssertionResult has(const std::string &text, const std::string &part) {
  if (text.find(part) != std::string::npos)
    return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "'" << part << "' is not in '" << text << "'";
}

} // namespace qlr::test
