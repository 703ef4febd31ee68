// Streams, events, graphs, launches.
#include "test/fake-driver/FakeDriver.h"
#include "test/fake-driver/Kernels.h"

#include <chrono>

using namespace qlr::cuda;
using namespace qlr::cuda::fake;

namespace {

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Stream *findStream(const Call &call, CUstream handle, CUresult &result) {
  Stream *stream = as<Stream>(handle);
  result = State::get().sticky;
  if (State::get().streams.count(stream))
    return stream;
  result = call.wrong("no such stream", CUDA_ERROR_INVALID_HANDLE);
  return nullptr;
}

/// The checks of a launch; fills in `launch`.
CUresult describeLaunch(const Call &call, CUfunction handle, const unsigned (&grid)[3], const unsigned (&block)[3],
                        unsigned shared, void **params, void **extra, Launch &launch) {
  const State &state = State::get();
  const Function *function = as<Function>(handle);
  if (!state.functions.count(as<Function>(handle)))
    return call.wrong("no such function", CUDA_ERROR_INVALID_HANDLE);
  const std::string kernel = "kernel " + function->name + ": ";
  if (grid[0] < 1 || grid[0] > 0x7fffffff || grid[1] != 1 || grid[2] != 1)
    return call.wrong(kernel + "a grid of " + std::to_string(grid[0]) + " blocks, in one dimension");
  if (block[0] < 1 || block[0] > function->maxThreads || block[0] > 1024 || block[1] != 1 || block[2] != 1)
    return call.wrong(kernel + std::to_string(block[0]) + " threads, at most " + std::to_string(function->maxThreads));
  if (shared > static_cast<unsigned>(function->dynamicShared))
    return call.wrong(kernel + std::to_string(shared) + " bytes of shared memory, " +
                      std::to_string(function->dynamicShared) + " were asked for");
  if (function->carveout != CU_SHAREDMEM_CARVEOUT_MAX_SHARED)
    return call.wrong(kernel + "its carve-out is not that of the others");
  if (extra || (function->parameters && !params))
    return call.wrong(kernel + "parameters");
  launch = {function, grid[0], block[0], shared, {}};
  for (unsigned i = 0; i < function->parameters; ++i) {
    if (!params[i])
      return call.wrong(kernel + "parameter " + std::to_string(i) + " has no address");
    const uint64_t value = *static_cast<const uint64_t *>(params[i]);
    if (!state.find(value, 0))
      return call.wrong(kernel + "parameter " + std::to_string(i) + " points to no memory of the device");
    launch.params.push_back(value);
  }
  return CUDA_SUCCESS;
}

/// A captured launch goes into the graph, another one into the queue.
CUresult submit(Stream &stream, const Launch &launch) {
  if (State::get().sticky != CUDA_SUCCESS)
    return State::get().sticky;
  if (stream.capturing)
    stream.capturing->launches.push_back(launch);
  else
    stream.queue.push_back([launch] { return run(launch); });
  return CUDA_SUCCESS;
}

} // namespace

namespace qlr::cuda::fake {

CUresult drain(Stream &stream) {
  State &state = State::get();
  std::vector<std::function<CUresult()>> queue;
  queue.swap(stream.queue);
  for (auto &work : queue) {
    if (state.sticky != CUDA_SUCCESS)
      break;
    state.sticky = work();
  }
  return state.sticky;
}

} // namespace qlr::cuda::fake

QLR_FAKE_EXPORT cuStreamCreate(CUstream *handle, unsigned flags) {
  QLR_FAKE_CALL(cuStreamCreate);
  if (flags != CU_STREAM_NON_BLOCKING)
    return call.wrong("flags");
  Stream *stream = new Stream;
  State::get().streams.insert(stream);
  *handle = reinterpret_cast<CUstream>(stream);
  return State::get().sticky;
}

QLR_FAKE_EXPORT cuStreamDestroy_v2(CUstream handle) {
  QLR_FAKE_CALL(cuStreamDestroy);
  CUresult result;
  Stream *stream = findStream(call, handle, result);
  if (!stream)
    return result;
  drain(*stream);
  State::get().streams.erase(stream);
  delete stream;
  return State::get().sticky;
}

QLR_FAKE_EXPORT cuStreamSynchronize(CUstream handle) {
  QLR_FAKE_CALL(cuStreamSynchronize);
  CUresult result;
  Stream *stream = findStream(call, handle, result);
  if (!stream)
    return result;
  if (stream->capturing)
    return call.wrong("while the stream is captured", CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  return drain(*stream);
}

QLR_FAKE_EXPORT cuStreamBeginCapture_v2(CUstream handle, int mode) {
  QLR_FAKE_CALL(cuStreamBeginCapture);
  CUresult result;
  Stream *stream = findStream(call, handle, result);
  if (!stream)
    return result;
  if (stream->capturing || mode < 0 || mode > 2)
    return call.wrong("captured already, or mode", CUDA_ERROR_ILLEGAL_STATE);
  stream->capturing = std::make_unique<Graph>();
  return result;
}

QLR_FAKE_EXPORT cuStreamEndCapture(CUstream handle, CUgraph *graph) {
  QLR_FAKE_CALL(cuStreamEndCapture);
  CUresult result;
  Stream *stream = findStream(call, handle, result);
  if (!stream)
    return result;
  if (!stream->capturing)
    return call.wrong("nothing is captured", CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
  Graph *made = stream->capturing.release();
  State::get().graphs.insert(made);
  *graph = reinterpret_cast<CUgraph>(made);
  return result;
}

QLR_FAKE_EXPORT cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph handle, unsigned long long flags) {
  QLR_FAKE_CALL(cuGraphInstantiate);
  Graph *graph = as<Graph>(handle);
  if (!State::get().graphs.count(graph) || flags != 0)
    return call.wrong("no such graph, or flags", CUDA_ERROR_INVALID_HANDLE);
  Graph *made = new Graph(*graph);
  State::get().executables.insert(made);
  note("graph of " + std::to_string(made->launches.size()) + " launches");
  *executable = reinterpret_cast<CUgraphExec>(made);
  return State::get().sticky;
}

QLR_FAKE_EXPORT cuGraphLaunch(CUgraphExec handle, CUstream streamHandle) {
  QLR_FAKE_CALL(cuGraphLaunch);
  State &state = State::get();
  CUresult result;
  Stream *stream = findStream(call, streamHandle, result);
  if (!stream || result != CUDA_SUCCESS)
    return result;
  Graph *graph = as<Graph>(handle);
  if (!state.executables.count(graph))
    return call.wrong("no such executable graph", CUDA_ERROR_INVALID_HANDLE);
  if (stream->capturing)
    return call.wrong("while the stream is captured", CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  for (const Launch &launch : graph->launches) {
    for (uint64_t param : launch.params)
      if (!state.find(param, 0))
        return call.wrong("kernel " + launch.function->name + ": its memory was freed after the capture");
    submit(*stream, launch);
  }
  note("graph launched");
  return CUDA_SUCCESS;
}

QLR_FAKE_EXPORT cuGraphExecDestroy(CUgraphExec handle) {
  QLR_FAKE_CALL(cuGraphExecDestroy);
  if (!State::get().executables.erase(as<Graph>(handle)))
    return call.wrong("no such executable graph", CUDA_ERROR_INVALID_HANDLE);
  delete as<Graph>(handle);
  return CUDA_SUCCESS;
}

QLR_FAKE_EXPORT cuGraphDestroy(CUgraph handle) {
  QLR_FAKE_CALL(cuGraphDestroy);
  if (!State::get().graphs.erase(as<Graph>(handle)))
    return call.wrong("no such graph", CUDA_ERROR_INVALID_HANDLE);
  delete as<Graph>(handle);
  return CUDA_SUCCESS;
}

QLR_FAKE_EXPORT cuEventCreate(CUevent *handle, unsigned flags) {
  QLR_FAKE_CALL(cuEventCreate);
  Event *event = new Event;
  State::get().events.insert(event);
  *handle = reinterpret_cast<CUevent>(event);
  return State::get().sticky;
}

QLR_FAKE_EXPORT cuEventDestroy_v2(CUevent handle) {
  QLR_FAKE_CALL(cuEventDestroy);
  Event *event = as<Event>(handle);
  if (!State::get().events.erase(event))
    return call.wrong("no such event", CUDA_ERROR_INVALID_HANDLE);
  if (event->stream && State::get().streams.count(event->stream))
    drain(*event->stream);
  delete event;
  return CUDA_SUCCESS;
}

QLR_FAKE_EXPORT cuEventRecord(CUevent handle, CUstream streamHandle) {
  QLR_FAKE_CALL(cuEventRecord);
  CUresult result;
  Stream *stream = findStream(call, streamHandle, result);
  if (!stream || result != CUDA_SUCCESS)
    return result;
  Event *event = as<Event>(handle);
  if (!State::get().events.count(event))
    return call.wrong("no such event", CUDA_ERROR_INVALID_HANDLE);
  if (stream->capturing)
    return call.wrong("while the stream is captured", CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  event->recorded = true;
  event->time.reset();
  event->stream = stream;
  stream->queue.push_back([event] {
    event->time = seconds();
    return CUDA_SUCCESS;
  });
  return CUDA_SUCCESS;
}

QLR_FAKE_EXPORT cuEventSynchronize(CUevent handle) {
  QLR_FAKE_CALL(cuEventSynchronize);
  Event *event = as<Event>(handle);
  if (!State::get().events.count(event))
    return call.wrong("no such event", CUDA_ERROR_INVALID_HANDLE);
  return event->stream ? drain(*event->stream) : CUDA_SUCCESS;
}

QLR_FAKE_EXPORT cuEventElapsedTime(float *milliseconds, CUevent begin, CUevent end) {
  QLR_FAKE_CALL(cuEventElapsedTime);
  Event *first = as<Event>(begin), *last = as<Event>(end);
  if (!State::get().events.count(first) || !State::get().events.count(last) || !first->recorded || !last->recorded)
    return call.wrong("an event that was not recorded", CUDA_ERROR_INVALID_HANDLE);
  if (!first->time || !last->time)
    return CUDA_ERROR_NOT_READY;
  *milliseconds = static_cast<float>((*last->time - *first->time) * 1e3);
  return State::get().sticky;
}

QLR_FAKE_EXPORT cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                               unsigned blockY, unsigned blockZ, unsigned shared, CUstream streamHandle, void **params,
                               void **extra) {
  QLR_FAKE_CALL(cuLaunchKernel);
  CUresult result;
  Stream *stream = findStream(call, streamHandle, result);
  if (!stream || result != CUDA_SUCCESS)
    return result;
  Launch launch;
  result =
      describeLaunch(call, function, {gridX, gridY, gridZ}, {blockX, blockY, blockZ}, shared, params, extra, launch);
  return result == CUDA_SUCCESS ? submit(*stream, launch) : result;
}

QLR_FAKE_EXPORT cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **params, void **extra) {
  QLR_FAKE_CALL(cuLaunchKernelEx);
  CUresult result;
  Stream *stream = findStream(call, config->hStream, result);
  if (!stream || result != CUDA_SUCCESS)
    return result;
  for (unsigned i = 0; i < config->numAttrs; ++i) {
    const CUlaunchAttribute &attribute = config->attrs[i];
    if (attribute.id != CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION ||
        attribute.value.programmaticStreamSerializationAllowed != 1)
      return call.wrong("attribute " + std::to_string(attribute.id));
    if (Settings::get().capability < 90)
      return call.wrong("a dependent launch below compute capability 9.0");
    if (State::get().functions.count(as<Function>(function)) &&
        as<Function>(function)->module->ptx.find("griddepcontrol.wait") == std::string::npos)
      return call.wrong("a dependent launch of a kernel that does not wait");
    note("dependent launch");
  }
  Launch launch;
  result = describeLaunch(call, function, {config->gridDimX, config->gridDimY, config->gridDimZ},
                          {config->blockDimX, config->blockDimY, config->blockDimZ}, config->sharedMemBytes, params,
                          extra, launch);
  return result == CUDA_SUCCESS ? submit(*stream, launch) : result;
}
