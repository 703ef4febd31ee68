#include "test/fake-driver/FakeDriver.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace qlr::cuda::fake {
namespace {

std::string variable(const char *name) {
  const char *value = std::getenv((std::string("QLR_FAKE_CUDA_") + name).c_str());
  return value ? value : "";
}

uint64_t number(const char *name, uint64_t otherwise) {
  std::string value = variable(name);
  return value.empty() ? otherwise : std::strtoull(value.c_str(), nullptr, 10);
}

} // namespace

Settings Settings::get() {
  Settings settings;
  settings.devices = static_cast<int>(number("DEVICES", 1));
  settings.version = static_cast<int>(number("VERSION", 12040));
  settings.capability = static_cast<int>(number("CAPABILITY", 86));
  settings.multiprocessors = static_cast<int>(number("MULTIPROCESSORS", 2));
  settings.memory = number("MEMORY", 4'000'000'000);
  settings.fault = variable("FAULT");
  settings.failing = variable("FAILING");
  settings.log = variable("LOG");
  settings.artifacts = variable("ARTIFACT");
  settings.nativeKernels = variable("KERNELS");
  settings.seed = number("SEED", 0);
  settings.checks = number("CHECKS", 1) != 0;
  return settings;
}

// CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
int Settings::sharedPerBlock() const { return (capability == 80 ? 163 : capability >= 90 ? 227 : 99) * 1024; }
int Settings::sharedPerMultiprocessor() const { return (capability == 80 ? 164 : capability >= 90 ? 228 : 100) * 1024; }

State &State::get() {
  static State *state = new State; // outlives whoever uses the driver while the process ends
  return *state;
}

uint64_t State::allocatedOnDevice() const {
  uint64_t bytes = 0;
  for (const auto &[base, allocation] : allocations)
    if (!allocation.host)
      bytes += allocation.bytes;
  return bytes;
}

const Allocation *State::find(uint64_t address, uint64_t bytes) const {
  auto it = allocations.upper_bound(address);
  if (it == allocations.begin())
    return nullptr;
  const Allocation &allocation = std::prev(it)->second;
  uint64_t offset = address - allocation.base;
  return offset <= allocation.bytes && bytes <= allocation.bytes - offset ? &allocation : nullptr;
}

const Allocation *State::findPinned(const void *pointer, uint64_t bytes) const {
  for (const auto &[base, allocation] : allocations) {
    if (!allocation.host)
      continue;
    uint64_t offset = reinterpret_cast<uint64_t>(pointer) - reinterpret_cast<uint64_t>(allocation.host);
    if (offset <= allocation.bytes && bytes <= allocation.bytes - offset)
      return &allocation;
  }
  return nullptr;
}

bool &contextIsCurrent() {
  thread_local bool current = false;
  return current;
}

void note(const std::string &what) {
  std::string log = Settings::get().log;
  if (log.empty())
    return;
  if (std::FILE *file = std::fopen(log.c_str(), "a")) {
    std::fprintf(file, "%s\n", what.c_str());
    std::fclose(file);
  }
}

CUresult wrong(const char *function, const std::string &what, CUresult result) {
  std::string line = std::string("wrong: ") + function + ": " + what;
  std::fprintf(stderr, "fake driver: %s\n", line.c_str());
  note(line);
  return result;
}

Call::Call(const char *name, bool needsContext) : function(name), lock(State::get().mutex) {
  State &state = State::get();
  if (!state.initialized)
    result = wrong("called before cuInit", CUDA_ERROR_NOT_INITIALIZED);
  else if (needsContext && (!contextIsCurrent() || state.contextUsers == 0))
    result = wrong("no context is current", CUDA_ERROR_INVALID_CONTEXT);
  else if (Settings::get().failing == name)
    result = CUDA_ERROR_UNKNOWN;
}

} // namespace qlr::cuda::fake
