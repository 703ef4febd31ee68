// The part of the CUDA driver API that qlr uses, declared here so that neither building nor running on the host needs a
// toolkit. Types, values and meanings: CUDA Driver API reference (docs.nvidia.com/cuda/cuda-driver-api), chapters
// "Data types used by CUDA driver" and "Modules". test/e2e/cuda_api.py compares all of it with a cuda.h where one is.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qlr::cuda {

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = struct CUctx_st *;
using CUmodule = struct CUmod_st *;
using CUfunction = struct CUfunc_st *;
using CUstream = struct CUstream_st *;
using CUevent = struct CUevent_st *;
using CUgraph = struct CUgraph_st *;
using CUgraphExec = struct CUgraphExec_st *;
using CUlinkState = struct CUlinkState_st *;

enum Result : CUresult {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_INVALID_VALUE = 1,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_NOT_INITIALIZED = 3,
  CUDA_ERROR_NO_DEVICE = 100,
  CUDA_ERROR_INVALID_DEVICE = 101,
  CUDA_ERROR_INVALID_IMAGE = 200,
  CUDA_ERROR_INVALID_CONTEXT = 201,
  CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
  CUDA_ERROR_INVALID_PTX = 218,
  CUDA_ERROR_UNSUPPORTED_PTX_VERSION = 222,
  CUDA_ERROR_INVALID_HANDLE = 400,
  CUDA_ERROR_ILLEGAL_STATE = 401,
  CUDA_ERROR_NOT_FOUND = 500,
  CUDA_ERROR_NOT_READY = 600,
  CUDA_ERROR_ILLEGAL_ADDRESS = 700,
  CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES = 701,
  CUDA_ERROR_LAUNCH_TIMEOUT = 702,
  CUDA_ERROR_ASSERT = 710,
  CUDA_ERROR_HARDWARE_STACK_ERROR = 714,
  CUDA_ERROR_ILLEGAL_INSTRUCTION = 715,
  CUDA_ERROR_MISALIGNED_ADDRESS = 716,
  CUDA_ERROR_INVALID_ADDRESS_SPACE = 717,
  CUDA_ERROR_INVALID_PC = 718,
  CUDA_ERROR_LAUNCH_FAILED = 719,
  CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
  CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901,
  CUDA_ERROR_STREAM_CAPTURE_UNMATCHED = 903,
  CUDA_ERROR_UNKNOWN = 999
};

enum DeviceAttribute : int {
  CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 1,
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
  CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY = 19,
  CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE = 38,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97
};

enum FunctionAttribute : int {
  CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 0,
  CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES = 3,
  CU_FUNC_ATTRIBUTE_NUM_REGS = 4,
  CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
  CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT = 9
};

enum JitOption : int {
  CU_JIT_INFO_LOG_BUFFER = 3,
  CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES = 4,
  CU_JIT_ERROR_LOG_BUFFER = 5,
  CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6
};

enum JitInputType : int { CU_JIT_INPUT_CUBIN = 0, CU_JIT_INPUT_PTX = 1 };

enum StreamFlags : unsigned { CU_STREAM_NON_BLOCKING = 1 };
enum EventFlags : unsigned { CU_EVENT_DEFAULT = 0, CU_EVENT_DISABLE_TIMING = 2 };
enum HostAllocFlags : unsigned { CU_MEMHOSTALLOC_DEVICEMAP = 2 };
enum CaptureMode : int { CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1 };
enum Carveout : int { CU_SHAREDMEM_CARVEOUT_MAX_SHARED = 100 };
enum LaunchAttributeId : int { CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION = 6 };

struct CUlaunchAttribute {
  int id;
  char pad[8 - sizeof(int)];
  union {
    char bytes[64];
    int programmaticStreamSerializationAllowed;
  } value;
};

struct CUlaunchConfig {
  unsigned gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
  CUstream hStream;
  CUlaunchAttribute *attrs;
  unsigned numAttrs;
};

/// X(member, exported symbol, parameters): the functions every driver that serves has, all returning CUresult.
#define QLR_CUDA_FUNCTIONS(X)                                                                                          \
  X(init, cuInit, (unsigned flags))                                                                                    \
  X(driverGetVersion, cuDriverGetVersion, (int *version))                                                              \
  X(getErrorName, cuGetErrorName, (CUresult error, const char **text))                                                 \
  X(getErrorString, cuGetErrorString, (CUresult error, const char **text))                                             \
  X(deviceGetCount, cuDeviceGetCount, (int *count))                                                                    \
  X(deviceGet, cuDeviceGet, (CUdevice * device, int ordinal))                                                          \
  X(deviceGetName, cuDeviceGetName, (char *name, int length, CUdevice device))                                         \
  X(deviceGetAttribute, cuDeviceGetAttribute, (int *value, int attribute, CUdevice device))                            \
  X(deviceTotalMem, cuDeviceTotalMem_v2, (size_t *bytes, CUdevice device))                                             \
  X(primaryCtxRetain, cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device))                                \
  X(primaryCtxRelease, cuDevicePrimaryCtxRelease_v2, (CUdevice device))                                                \
  X(ctxSetCurrent, cuCtxSetCurrent, (CUcontext context))                                                               \
  X(memGetInfo, cuMemGetInfo_v2, (size_t *free, size_t *total))                                                        \
  X(memAlloc, cuMemAlloc_v2, (CUdeviceptr * pointer, size_t bytes))                                                    \
  X(memFree, cuMemFree_v2, (CUdeviceptr pointer))                                                                      \
  X(memHostAlloc, cuMemHostAlloc, (void **pointer, size_t bytes, unsigned flags))                                      \
  X(memFreeHost, cuMemFreeHost, (void *pointer))                                                                       \
  X(memHostGetDevicePointer, cuMemHostGetDevicePointer_v2, (CUdeviceptr * device, void *host, unsigned flags))         \
  X(memsetD8Async, cuMemsetD8Async, (CUdeviceptr pointer, unsigned char value, size_t bytes, CUstream stream))         \
  X(memcpyHtoDAsync, cuMemcpyHtoDAsync_v2, (CUdeviceptr to, const void *from, size_t bytes, CUstream stream))          \
  X(memcpyDtoHAsync, cuMemcpyDtoHAsync_v2, (void *to, CUdeviceptr from, size_t bytes, CUstream stream))                \
  X(memcpyDtoDAsync, cuMemcpyDtoDAsync_v2, (CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream))          \
  X(streamCreate, cuStreamCreate, (CUstream * stream, unsigned flags))                                                 \
  X(streamDestroy, cuStreamDestroy_v2, (CUstream stream))                                                              \
  X(streamSynchronize, cuStreamSynchronize, (CUstream stream))                                                         \
  X(streamBeginCapture, cuStreamBeginCapture_v2, (CUstream stream, int mode))                                          \
  X(streamEndCapture, cuStreamEndCapture, (CUstream stream, CUgraph * graph))                                          \
  X(graphInstantiate, cuGraphInstantiateWithFlags,                                                                     \
    (CUgraphExec * executable, CUgraph graph, unsigned long long flags))                                               \
  X(graphLaunch, cuGraphLaunch, (CUgraphExec executable, CUstream stream))                                             \
  X(graphExecDestroy, cuGraphExecDestroy, (CUgraphExec executable))                                                    \
  X(graphDestroy, cuGraphDestroy, (CUgraph graph))                                                                     \
  X(eventCreate, cuEventCreate, (CUevent * event, unsigned flags))                                                     \
  X(eventDestroy, cuEventDestroy_v2, (CUevent event))                                                                  \
  X(eventRecord, cuEventRecord, (CUevent event, CUstream stream))                                                      \
  X(eventSynchronize, cuEventSynchronize, (CUevent event))                                                             \
  X(eventElapsedTime, cuEventElapsedTime, (float *milliseconds, CUevent begin, CUevent end))                           \
  X(moduleLoadDataEx, cuModuleLoadDataEx,                                                                              \
    (CUmodule * module, const void *image, unsigned options, int *keys, void **values))                                \
  X(moduleUnload, cuModuleUnload, (CUmodule module))                                                                   \
  X(moduleGetFunction, cuModuleGetFunction, (CUfunction * function, CUmodule module, const char *name))                \
  X(linkCreate, cuLinkCreate_v2, (unsigned options, int *keys, void **values, CUlinkState *state))                     \
  X(linkAddData, cuLinkAddData_v2,                                                                                     \
    (CUlinkState state, int type, void *data, size_t bytes, const char *name, unsigned options, int *keys,             \
     void **values))                                                                                                   \
  X(linkComplete, cuLinkComplete, (CUlinkState state, void **cubin, size_t *bytes))                                    \
  X(linkDestroy, cuLinkDestroy, (CUlinkState state))                                                                   \
  X(funcGetAttribute, cuFuncGetAttribute, (int *value, int attribute, CUfunction function))                            \
  X(funcSetAttribute, cuFuncSetAttribute, (CUfunction function, int attribute, int value))                             \
  X(occupancy, cuOccupancyMaxActiveBlocksPerMultiprocessor,                                                            \
    (int *blocks, CUfunction function, int threads, size_t sharedBytes))                                               \
  X(launchKernel, cuLaunchKernel,                                                                                      \
    (CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,            \
     unsigned blockZ, unsigned sharedBytes, CUstream stream, void **params, void **extra))

/// Functions of newer drivers; null where the driver is older.
#define QLR_CUDA_NEWER_FUNCTIONS(X)                                                                                    \
  X(launchKernelEx, cuLaunchKernelEx, (const CUlaunchConfig *config, CUfunction function, void **params, void **extra))

struct Api {
#define QLR_CUDA_MEMBER(member, symbol, parameters) CUresult(*member) parameters = nullptr;
  QLR_CUDA_FUNCTIONS(QLR_CUDA_MEMBER)
  QLR_CUDA_NEWER_FUNCTIONS(QLR_CUDA_MEMBER)
#undef QLR_CUDA_MEMBER
};

} // namespace qlr::cuda
