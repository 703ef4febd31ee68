// A libcuda for machines without a GPU, for tests: it checks what a caller may do wrong, and runs the kernels' host
// code. What a caller did wrong gets the error a real driver would give, and a line in the log.
//
// Work in a stream is put off until somebody waits for it, so that whoever touches a buffer too early is found out.
#pragma once

#include "runtime/cuda/DriverApi.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace qlr::cuda::fake {

/// What the environment asks for. Read anew at every use, so that a test can change it.
struct Settings {
  int devices = 1;           ///< QLR_FAKE_CUDA_DEVICES
  int version = 12040;       ///< QLR_FAKE_CUDA_VERSION
  int capability = 86;       ///< QLR_FAKE_CUDA_CAPABILITY
  int multiprocessors = 2;   ///< QLR_FAKE_CUDA_MULTIPROCESSORS
  uint64_t memory = 0;       ///< QLR_FAKE_CUDA_MEMORY, bytes
  std::string fault;         ///< QLR_FAKE_CUDA_FAULT: the kernel of this name accesses an illegal address
  std::string failing;       ///< QLR_FAKE_CUDA_FAILING: this function of the driver fails
  std::string log;           ///< QLR_FAKE_CUDA_LOG: file that wrong calls are written to
  std::string artifacts;     ///< QLR_FAKE_CUDA_ARTIFACT: .qlr files, ':' between; their PTX is what can be loaded
  std::string nativeKernels; ///< QLR_FAKE_CUDA_KERNELS: shared object with the kernels as C functions, see Kernels.h
  uint64_t seed = 0;         ///< QLR_FAKE_CUDA_SEED: of the order of blocks
  bool checks = true;        ///< QLR_FAKE_CUDA_CHECKS=0: without the emulator's checks of memory

  static Settings get();
  int sharedPerBlock() const;
  int sharedPerMultiprocessor() const;
};

struct Function;

struct Module {
  std::string ptx;
  std::map<std::string, std::unique_ptr<Function>> functions;
};

struct Function {
  std::string name;
  Module *module = nullptr;
  unsigned parameters = 0; // all of 8 bytes
  unsigned maxThreads = 1024;
  int dynamicShared = 0;
  int carveout = -1;
};

/// One launch as a graph keeps it.
struct Launch {
  const Function *function = nullptr;
  unsigned grid = 0, threads = 0, shared = 0;
  std::vector<uint64_t> params;
};

struct Graph {
  std::vector<Launch> launches;
};

struct Stream {
  std::vector<std::function<CUresult()>> queue; // what nobody has waited for
  std::unique_ptr<Graph> capturing;
};

struct Event {
  bool recorded = false;
  std::optional<double> time; // seconds, once reached
  Stream *stream = nullptr;
};

struct Link {
  std::string ptx, cubin;
  void *errorLog = nullptr;
  size_t errorLogBytes = 0;
};

/// Memory of the device, or page-locked memory of the host, which the device sees at another address.
struct Allocation {
  uint64_t base = 0, bytes = 0; // as the device sees it
  void *host = nullptr;         // page-locked: as the host sees it
};

/// Everything there is. Guarded by `mutex`.
struct State {
  std::recursive_mutex mutex;
  bool initialized = false;
  int contextUsers = 0;
  CUresult sticky = CUDA_SUCCESS;             // of a kernel's fault: every later call fails with it
  std::map<uint64_t, Allocation> allocations; // by base
  std::set<Module *> modules;
  std::set<Function *> functions;
  std::set<Stream *> streams;
  std::set<Event *> events;
  std::set<Graph *> graphs, executables;
  std::set<Link *> links;

  static State &get();
  uint64_t allocatedOnDevice() const;
  /// The allocation that holds [address, address + bytes); null when none does.
  const Allocation *find(uint64_t address, uint64_t bytes) const;
  /// The page-locked allocation that holds host memory [pointer, pointer + bytes).
  const Allocation *findPinned(const void *pointer, uint64_t bytes) const;
};

/// True while this thread has the device's context.
bool &contextIsCurrent();

/// Writes to the log and to standard error, and returns `result`.
CUresult wrong(const char *function, const std::string &what, CUresult result);

/// Writes to the log only: what tests count on having happened.
void note(const std::string &what);

/// Runs what a stream has put off. Returns the first error, which sticks.
CUresult drain(Stream &stream);

/// Frees memory in whatever order; errors are the caller's.
void releaseAllocation(const Allocation &allocation);

template <typename T, typename Handle> T *as(Handle handle) { return reinterpret_cast<T *>(handle); }

/// Takes the lock and makes the checks every function begins with.
class Call {
public:
  explicit Call(const char *function, bool needsContext = true);
  /// What the function has to return at once, where not CUDA_SUCCESS.
  CUresult refused() const { return result; }
  CUresult wrong(const std::string &what, CUresult code = CUDA_ERROR_INVALID_VALUE) const {
    return fake::wrong(function, what, code);
  }

private:
  const char *function;
  std::lock_guard<std::recursive_mutex> lock;
  CUresult result = CUDA_SUCCESS;
};

/// Begins a function of the driver.
#define QLR_FAKE_CALL(name)                                                                                            \
  Call call(#name);                                                                                                    \
  if (call.refused() != CUDA_SUCCESS)                                                                                  \
  return call.refused()

} // namespace qlr::cuda::fake

#define QLR_FAKE_EXPORT extern "C" __attribute__((visibility("default"))) qlr::cuda::CUresult
