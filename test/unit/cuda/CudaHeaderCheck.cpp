// Compiled, not run, by test/e2e/cuda_api.py where a toolkit's cuda.h is: our declarations against NVIDIA's.
#include <cuda.h>

// Macros there, enumerators here.
constexpr unsigned nvidiaDevicemap = CU_MEMHOSTALLOC_DEVICEMAP;
#undef CU_MEMHOSTALLOC_DEVICEMAP

#include "runtime/cuda/DriverApi.h"

#include <type_traits>

namespace {

/// Parameters agree when they have the same size and are both pointers, or both numbers.
template <typename A, typename B>
constexpr bool sameParameter = sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B> &&
                               std::is_floating_point_v<A> == std::is_floating_point_v<B>;

template <typename A, typename B> struct SameFunction : std::false_type {};
template <typename R, typename... A, typename S, typename... B>
struct SameFunction<R (*)(A...), S (*)(B...)>
    : std::bool_constant<sizeof(R) == sizeof(S) && sizeof...(A) == sizeof...(B)> {};
template <typename R, typename... A, typename S, typename... B>
  requires(sizeof...(A) == sizeof...(B))
struct SameFunction<R (*)(A...), S (*)(B...)> : std::bool_constant<(sameParameter<A, B> && ...)> {};

// cuda.h renames functions to their newest versions by macros; the exported symbols are what we ask for.
#define CHECK_FUNCTION(member, symbol, parameters)                                                                     \
  static_assert(SameFunction<decltype(qlr::cuda::Api::member), decltype(&::symbol)>::value, #symbol);
QLR_CUDA_FUNCTIONS(CHECK_FUNCTION)
QLR_CUDA_NEWER_FUNCTIONS(CHECK_FUNCTION)

#define CHECK_VALUE(name) static_assert(static_cast<long>(qlr::cuda::name) == static_cast<long>(::name), #name);
CHECK_VALUE(CUDA_SUCCESS)
CHECK_VALUE(CUDA_ERROR_INVALID_VALUE)
CHECK_VALUE(CUDA_ERROR_OUT_OF_MEMORY)
CHECK_VALUE(CUDA_ERROR_NOT_INITIALIZED)
CHECK_VALUE(CUDA_ERROR_NO_DEVICE)
CHECK_VALUE(CUDA_ERROR_INVALID_DEVICE)
CHECK_VALUE(CUDA_ERROR_INVALID_IMAGE)
CHECK_VALUE(CUDA_ERROR_INVALID_CONTEXT)
CHECK_VALUE(CUDA_ERROR_NO_BINARY_FOR_GPU)
CHECK_VALUE(CUDA_ERROR_INVALID_PTX)
CHECK_VALUE(CUDA_ERROR_UNSUPPORTED_PTX_VERSION)
CHECK_VALUE(CUDA_ERROR_INVALID_HANDLE)
CHECK_VALUE(CUDA_ERROR_ILLEGAL_STATE)
CHECK_VALUE(CUDA_ERROR_NOT_FOUND)
CHECK_VALUE(CUDA_ERROR_NOT_READY)
CHECK_VALUE(CUDA_ERROR_ILLEGAL_ADDRESS)
CHECK_VALUE(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES)
CHECK_VALUE(CUDA_ERROR_LAUNCH_TIMEOUT)
CHECK_VALUE(CUDA_ERROR_ASSERT)
CHECK_VALUE(CUDA_ERROR_HARDWARE_STACK_ERROR)
CHECK_VALUE(CUDA_ERROR_ILLEGAL_INSTRUCTION)
CHECK_VALUE(CUDA_ERROR_MISALIGNED_ADDRESS)
CHECK_VALUE(CUDA_ERROR_INVALID_ADDRESS_SPACE)
CHECK_VALUE(CUDA_ERROR_INVALID_PC)
CHECK_VALUE(CUDA_ERROR_LAUNCH_FAILED)
CHECK_VALUE(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)
CHECK_VALUE(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED)
CHECK_VALUE(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED)
CHECK_VALUE(CUDA_ERROR_UNKNOWN)
CHECK_VALUE(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK)
CHECK_VALUE(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
CHECK_VALUE(CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY)
CHECK_VALUE(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)
CHECK_VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
CHECK_VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)
CHECK_VALUE(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)
CHECK_VALUE(CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK)
CHECK_VALUE(CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES)
CHECK_VALUE(CU_FUNC_ATTRIBUTE_NUM_REGS)
CHECK_VALUE(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)
CHECK_VALUE(CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT)
CHECK_VALUE(CU_JIT_INFO_LOG_BUFFER)
CHECK_VALUE(CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES)
CHECK_VALUE(CU_JIT_ERROR_LOG_BUFFER)
CHECK_VALUE(CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
CHECK_VALUE(CU_JIT_INPUT_CUBIN)
CHECK_VALUE(CU_JIT_INPUT_PTX)
CHECK_VALUE(CU_STREAM_NON_BLOCKING)
CHECK_VALUE(CU_EVENT_DEFAULT)
CHECK_VALUE(CU_EVENT_DISABLE_TIMING)
CHECK_VALUE(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
CHECK_VALUE(CU_SHAREDMEM_CARVEOUT_MAX_SHARED)
CHECK_VALUE(CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION)
static_assert(qlr::cuda::CU_MEMHOSTALLOC_DEVICEMAP == nvidiaDevicemap);

static_assert(sizeof(qlr::cuda::CUlaunchAttribute) == sizeof(::CUlaunchAttribute));
static_assert(offsetof(qlr::cuda::CUlaunchAttribute, value) == offsetof(::CUlaunchAttribute, value));
static_assert(sizeof(qlr::cuda::CUlaunchConfig) == sizeof(::CUlaunchConfig));
#define CHECK_FIELD(name)                                                                                              \
  static_assert(offsetof(qlr::cuda::CUlaunchConfig, name) == offsetof(::CUlaunchConfig, name), #name);
CHECK_FIELD(gridDimX)
CHECK_FIELD(blockDimZ)
CHECK_FIELD(sharedMemBytes)
CHECK_FIELD(hStream)
CHECK_FIELD(attrs)
CHECK_FIELD(numAttrs)

} // namespace
