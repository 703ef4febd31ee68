// PTX, "machine code" (the PTX behind a mark) and functions.
#include "test/fake-driver/FakeDriver.h"
#include "test/fake-driver/Kernels.h"

#include "runtime/cuda/Ptx.h"

#include <algorithm>
#include <cstring>
#include <regex>

using namespace qlr::cuda;
using namespace qlr::cuda::fake;

namespace {

constexpr std::string_view cubinMark = "FAKECUBIN\n";

/// What the compiler's log buffers are given by.
struct LogBuffers {
  char *error = nullptr;
  size_t bytes = 0;
};

CUresult readOptions(const Call &call, unsigned count, const int *keys, void **values, LogBuffers &log) {
  for (unsigned i = 0; i < count; ++i)
    switch (keys[i]) {
    case CU_JIT_ERROR_LOG_BUFFER:
      log.error = static_cast<char *>(values[i]);
      break;
    case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
      log.bytes = reinterpret_cast<size_t>(values[i]);
      break;
    case CU_JIT_INFO_LOG_BUFFER:
    case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
      break;
    default:
      return call.wrong("option " + std::to_string(keys[i]));
    }
  if ((log.error == nullptr) != (log.bytes == 0))
    return call.wrong("a log buffer without a size");
  return CUDA_SUCCESS;
}

CUresult refuse(const LogBuffers &log, const std::string &text, CUresult result) {
  if (log.error) {
    std::strncpy(log.error, text.c_str(), log.bytes - 1);
    log.error[log.bytes - 1] = '\0';
  }
  return result;
}

/// What the driver's compiler would say to this text.
CUresult compile(const std::string &ptx, const LogBuffers &log) {
  const Settings settings = Settings::get();
  std::smatch version, target;
  if (!std::regex_search(ptx, version, std::regex(R"(\.version\s+(\d+)\.(\d+))")) ||
      !std::regex_search(ptx, target, std::regex(R"(\.target\s+sm_(\d+))")))
    return refuse(log, "ptxas fatal : Missing .version or .target", CUDA_ERROR_INVALID_PTX);
  if (10 * std::stoi(version[1]) + std::stoi(version[2]) > qlr::ptxForDriver(settings.version))
    return refuse(log, "ptxas fatal : Unsupported .version " + version[1].str() + "." + version[2].str(),
                  CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
  if (std::stoi(target[1]) > settings.capability)
    return refuse(log, "", CUDA_ERROR_NO_BINARY_FOR_GPU);
  if (settings.failing == "jit")
    return refuse(log, "ptxas application ptx input, line 7; error : Unknown symbol 'planted'\nptxas fatal : aborted",
                  CUDA_ERROR_INVALID_PTX);
  return CUDA_SUCCESS;
}

/// The entries of a module: names, parameters and the largest block.
std::map<std::string, std::unique_ptr<Function>> parseEntries(const std::string &ptx, Module *module) {
  std::map<std::string, std::unique_ptr<Function>> functions;
  const std::regex entry(R"(\.entry\s+([\w$]+)\s*\(([^)]*)\)([^{]*)\{)");
  for (auto it = std::sregex_iterator(ptx.begin(), ptx.end(), entry); it != std::sregex_iterator(); ++it) {
    auto function = std::make_unique<Function>();
    function->name = (*it)[1];
    function->module = module;
    const std::string list = (*it)[2], directives = (*it)[3];
    const std::regex parameter(R"(\.param\s+\.[bu]64)");
    function->parameters = static_cast<unsigned>(
        std::distance(std::sregex_iterator(list.begin(), list.end(), parameter), std::sregex_iterator()));
    std::smatch threads;
    if (std::regex_search(directives, threads, std::regex(R"(\.(?:max|req)ntid\s+(\d+))")))
      function->maxThreads = static_cast<unsigned>(std::stoul(threads[1]));
    functions[function->name] = std::move(function);
  }
  return functions;
}

Function *findFunction(const Call &call, CUfunction handle, CUresult &result) {
  Function *function = as<Function>(handle);
  result = CUDA_SUCCESS;
  if (State::get().functions.count(function))
    return function;
  result = call.wrong("no such function", CUDA_ERROR_INVALID_HANDLE);
  return nullptr;
}

} // namespace

QLR_FAKE_EXPORT cuModuleLoadDataEx(CUmodule *handle, const void *image, unsigned count, int *keys, void **values) {
  QLR_FAKE_CALL(cuModuleLoadDataEx);
  State &state = State::get();
  LogBuffers log;
  if (CUresult result = readOptions(call, count, keys, values, log); result != CUDA_SUCCESS)
    return result;
  std::string text = static_cast<const char *>(image); // as the driver, which is told no size
  if (text.starts_with(cubinMark))
    text.erase(0, cubinMark.size());
  else if (CUresult result = compile(text, log); result != CUDA_SUCCESS)
    return result;
  if (!std::regex_search(text, std::regex(R"(\.version)")))
    return refuse(log, "", CUDA_ERROR_INVALID_IMAGE);
  auto module = std::make_unique<Module>();
  module->ptx = text;
  module->functions = parseEntries(text, module.get());
  for (auto &[name, function] : module->functions) {
    std::optional<std::vector<uint32_t>> sizes = parametersOf(text, name);
    if (!sizes)
      return call.wrong("kernel " + name + " has no host code here", CUDA_ERROR_INVALID_IMAGE);
    if (sizes->size() != function->parameters ||
        std::any_of(sizes->begin(), sizes->end(), [](auto n) { return n != 8; }))
      return call.wrong("kernel " + name + " has " + std::to_string(function->parameters) + " parameters in PTX and " +
                        std::to_string(sizes->size()) + " in its host code");
    state.functions.insert(function.get());
  }
  state.modules.insert(module.get());
  *handle = reinterpret_cast<CUmodule>(module.release());
  return state.sticky;
}

QLR_FAKE_EXPORT cuModuleUnload(CUmodule handle) {
  QLR_FAKE_CALL(cuModuleUnload);
  State &state = State::get();
  Module *module = as<Module>(handle);
  if (!state.modules.erase(module))
    return call.wrong("no such module", CUDA_ERROR_INVALID_HANDLE);
  for (Graph *graph : state.executables)
    for (const Launch &launch : graph->launches)
      if (launch.function->module == module)
        call.wrong("kernel " + launch.function->name + " is still in a graph");
  for (auto &[name, function] : module->functions)
    state.functions.erase(function.get());
  delete module;
  return state.sticky;
}

QLR_FAKE_EXPORT cuModuleGetFunction(CUfunction *function, CUmodule handle, const char *name) {
  QLR_FAKE_CALL(cuModuleGetFunction);
  Module *module = as<Module>(handle);
  if (!State::get().modules.count(module))
    return call.wrong("no such module", CUDA_ERROR_INVALID_HANDLE);
  auto it = module->functions.find(name);
  if (it == module->functions.end())
    return CUDA_ERROR_NOT_FOUND;
  *function = reinterpret_cast<CUfunction>(it->second.get());
  return State::get().sticky;
}

QLR_FAKE_EXPORT cuLinkCreate_v2(unsigned count, int *keys, void **values, CUlinkState *handle) {
  QLR_FAKE_CALL(cuLinkCreate);
  LogBuffers log;
  if (CUresult result = readOptions(call, count, keys, values, log); result != CUDA_SUCCESS)
    return result;
  Link *link = new Link;
  link->errorLog = log.error;
  link->errorLogBytes = log.bytes;
  State::get().links.insert(link);
  *handle = reinterpret_cast<CUlinkState>(link);
  return State::get().sticky;
}

QLR_FAKE_EXPORT cuLinkAddData_v2(CUlinkState handle, int type, void *data, size_t bytes, const char *name,
                                 unsigned count, int *keys, void **values) {
  QLR_FAKE_CALL(cuLinkAddData);
  Link *link = as<Link>(handle);
  if (!State::get().links.count(link))
    return call.wrong("no such linker", CUDA_ERROR_INVALID_HANDLE);
  const char *text = static_cast<const char *>(data);
  if (type != CU_JIT_INPUT_PTX || bytes == 0 || text[bytes - 1] != '\0' || std::strlen(text) + 1 != bytes || count != 0)
    return call.wrong("PTX has to end with its zero byte, which counts");
  link->ptx = text;
  note(std::string("compiled ") + name);
  return compile(link->ptx, {static_cast<char *>(link->errorLog), link->errorLogBytes});
}

QLR_FAKE_EXPORT cuLinkComplete(CUlinkState handle, void **cubin, size_t *bytes) {
  QLR_FAKE_CALL(cuLinkComplete);
  Link *link = as<Link>(handle);
  if (!State::get().links.count(link) || link->ptx.empty())
    return call.wrong("no such linker, or nothing in it", CUDA_ERROR_INVALID_HANDLE);
  link->cubin = std::string(cubinMark) + link->ptx;
  *cubin = link->cubin.data();
  *bytes = link->cubin.size() + 1;
  return CUDA_SUCCESS;
}

QLR_FAKE_EXPORT cuLinkDestroy(CUlinkState handle) {
  QLR_FAKE_CALL(cuLinkDestroy);
  Link *link = as<Link>(handle);
  if (!State::get().links.erase(link))
    return call.wrong("no such linker", CUDA_ERROR_INVALID_HANDLE);
  std::fill(link->cubin.begin(), link->cubin.end(), '?'); // whoever still reads it is found out
  delete link;
  return CUDA_SUCCESS;
}

QLR_FAKE_EXPORT cuFuncGetAttribute(int *value, int attribute, CUfunction handle) {
  QLR_FAKE_CALL(cuFuncGetAttribute);
  CUresult result;
  Function *function = findFunction(call, handle, result);
  if (!function)
    return result;
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    *value = static_cast<int>(function->maxThreads);
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
    *value = 0;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_NUM_REGS:
    *value = 32;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
    *value = function->dynamicShared;
    return CUDA_SUCCESS;
  default:
    return call.wrong("attribute " + std::to_string(attribute));
  }
}

QLR_FAKE_EXPORT cuFuncSetAttribute(CUfunction handle, int attribute, int value) {
  QLR_FAKE_CALL(cuFuncSetAttribute);
  CUresult result;
  Function *function = findFunction(call, handle, result);
  if (!function)
    return result;
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
    if (value < 0 || value > Settings::get().sharedPerBlock())
      return call.wrong(std::to_string(value) + " bytes of shared memory");
    function->dynamicShared = value;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    if (value < -1 || value > 100)
      return call.wrong("a carve-out of " + std::to_string(value));
    function->carveout = value;
    return CUDA_SUCCESS;
  default:
    return call.wrong("attribute " + std::to_string(attribute));
  }
}

QLR_FAKE_EXPORT cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction handle, int threads,
                                                            size_t shared) {
  QLR_FAKE_CALL(cuOccupancyMaxActiveBlocksPerMultiprocessor);
  CUresult result;
  Function *function = findFunction(call, handle, result);
  if (!function)
    return result;
  if (threads < 1 || static_cast<unsigned>(threads) > function->maxThreads ||
      shared > static_cast<size_t>(function->dynamicShared))
    return call.wrong(std::to_string(threads) + " threads, " + std::to_string(shared) + " bytes of shared memory");
  const size_t reserved = 1024; // of each block, for the system
  *blocks = static_cast<int>(std::min<size_t>(1536 / static_cast<size_t>(threads),
                                              Settings::get().sharedPerMultiprocessor() / (shared + reserved)));
  return CUDA_SUCCESS;
}
