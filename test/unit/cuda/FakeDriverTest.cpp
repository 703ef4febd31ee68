// The fake driver itself: what it has to find out, it finds.
#include "runtime/cuda/CudaObjects.h"
#include "test/unit/cuda/CudaToy.h"

#include <array>
#include <cstdlib>
#include <gtest/gtest.h>
#include <optional>

using namespace qlr;
using namespace qlr::cuda;
using namespace qlr::test;

namespace {

constexpr const char *ptx =
    ".version 7.4\n.target sm_86\n.visible .entry append1(.param .u64 a, .param .u64 b, .param .u64 "
    "c, .param .u64 d, .param .u64 e)\n.maxntid 64\n{ ret; }\n";

class FakeDriverTest : public testing::Test {
protected:
  void SetUp() override {
    toy = directory.file("toy.qlr");
    writeCudaToy(toy);
    setenv("QLR_CUDA_DRIVER", QLR_FAKE_DRIVER, 1);
    setenv("QLR_FAKE_CUDA_KERNELS", (toy + ".so").c_str(), 1);
    setenv("QLR_FAKE_CUDA_LOG", directory.file("log").c_str(), 1);
    for (const char *name : {"FAULT", "FAILING", "MEMORY"})
      unsetenv((std::string("QLR_FAKE_CUDA_") + name).c_str());
    context.emplace(Driver::get().devices()[0]);
    ASSERT_EQ(api().streamCreate(stream.out(), CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
    ASSERT_EQ(api().memAlloc(memory.out(), 1000), CUDA_SUCCESS);
    api().memsetD8Async(memory.get(), 0, 1000, stream.get()); // kernels may run on it
    api().streamSynchronize(stream.get());
    pinned = PinnedBuffer(1000, "test");
    ASSERT_EQ(api().moduleLoadDataEx(module.out(), ptx, 0, nullptr, nullptr), CUDA_SUCCESS);
    ASSERT_EQ(api().moduleGetFunction(&function, module.get(), "append1"), CUDA_SUCCESS);
    api().funcSetAttribute(function, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 100);
    api().funcSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 60000);
  }

  static const Api &api() { return Driver::get().api; }

  /// The call is refused, and the log says why.
  void expectWrong(CUresult result, const std::string &why) {
    EXPECT_NE(result, CUDA_SUCCESS) << why;
    EXPECT_NE(readFile(directory.file("log")).find(why), std::string::npos) << why << "\n"
                                                                            << readFile(directory.file("log"));
  }

  CUresult launch(unsigned grid, unsigned threads, unsigned shared, std::array<CUdeviceptr, 5> values) {
    void *params[5];
    for (size_t i = 0; i < 5; ++i)
      params[i] = &values[i];
    return api().launchKernel(function, grid, 1, 1, threads, 1, 1, shared, stream.get(), params, nullptr);
  }

  TemporaryDirectory directory;
  std::string toy;
  std::optional<Context> context;
  Stream stream;
  DeviceMemory memory;
  PinnedBuffer pinned;
  Module module;
  CUfunction function = nullptr;
};

TEST_F(FakeDriverTest, copiesStayInsideAllocations) {
  std::byte ordinary[16];
  expectWrong(api().memcpyHtoDAsync(memory.get() + 990, pinned.data(), 11, stream.get()), "to: 11 bytes");
  expectWrong(api().memcpyHtoDAsync(memory.get(), pinned.data() + 990, 11, stream.get()), "not page-locked");
  expectWrong(api().memcpyHtoDAsync(memory.get(), ordinary, 16, stream.get()), "from: 16 bytes");
  expectWrong(api().memcpyDtoHAsync(ordinary, memory.get(), 16, stream.get()), "to: 16 bytes");
  expectWrong(api().memcpyDtoHAsync(pinned.data(), memory.get() + 1, 1000, stream.get()), "from: 1000 bytes");
  expectWrong(api().memsetD8Async(memory.get(), 0, 1001, stream.get()), "1001 bytes");
  expectWrong(api().memFree(memory.get() + 1), "no device memory begins");
  EXPECT_NE(reinterpret_cast<CUdeviceptr>(pinned.data()), pinned.onDevice());
  expectWrong(api().memcpyHtoDAsync(reinterpret_cast<CUdeviceptr>(pinned.data()), pinned.data(), 8, stream.get()),
              "to: 8 bytes");
}

TEST_F(FakeDriverTest, workWaitsUntilSomebodyWaitsForIt) {
  pinned.data()[0] = std::byte{1};
  ASSERT_EQ(api().memcpyHtoDAsync(memory.get(), pinned.data(), 1, stream.get()), CUDA_SUCCESS);
  pinned.data()[0] = std::byte{2}; // too early
  ASSERT_EQ(api().memcpyDtoHAsync(pinned.data() + 1, memory.get(), 1, stream.get()), CUDA_SUCCESS);
  EXPECT_NE(pinned.data()[1], std::byte{2});
  ASSERT_EQ(api().streamSynchronize(stream.get()), CUDA_SUCCESS);
  EXPECT_EQ(pinned.data()[1], std::byte{2}) << "the copy saw what was written over";
}

TEST_F(FakeDriverTest, launchesAreChecked) {
  const CUdeviceptr good = memory.get();
  EXPECT_EQ(launch(3, 64, 60000, {good, good, good, good, good}), CUDA_SUCCESS);
  expectWrong(launch(0, 64, 0, {good, good, good, good, good}), "a grid of 0 blocks");
  expectWrong(launch(1, 65, 0, {good, good, good, good, good}), "65 threads, at most 64");
  expectWrong(launch(1, 64, 60001, {good, good, good, good, good}),
              "60001 bytes of shared memory, 60000 were asked for");
  expectWrong(launch(1, 64, 0, {good, good, 4096, good, good}), "parameter 2 points to no memory of the device");
  const auto host = reinterpret_cast<CUdeviceptr>(pinned.data());
  expectWrong(launch(1, 64, 0, {good, good, good, good, host}), "parameter 4 points to no memory of the device");
  api().funcSetAttribute(function, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 50);
  expectWrong(launch(1, 64, 0, {good, good, good, good, good}), "its carve-out is not that of the others");
  expectWrong(api().funcSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 102000),
              "102000 bytes of shared memory");
  int blocks = 0;
  expectWrong(api().occupancy(&blocks, function, 64, 60001), "60001 bytes of shared memory");
  CUlaunchAttribute attribute{};
  attribute.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
  attribute.value.programmaticStreamSerializationAllowed = 1;
  CUlaunchConfig config{1, 1, 1, 64, 1, 1, 0, stream.get(), &attribute, 1};
  expectWrong(api().launchKernelEx(&config, function, nullptr, nullptr), "a dependent launch below");
  api().streamSynchronize(stream.get());
}

TEST_F(FakeDriverTest, captureHasRules) {
  Graph graph;
  expectWrong(api().streamEndCapture(stream.get(), graph.out()), "nothing is captured");
  ASSERT_EQ(api().streamBeginCapture(stream.get(), CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), CUDA_SUCCESS);
  expectWrong(api().streamBeginCapture(stream.get(), CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), "captured already");
  expectWrong(api().streamSynchronize(stream.get()), "while the stream is captured");
  expectWrong(api().memsetD8Async(memory.get(), 0, 8, stream.get()), "a copy while the stream is captured");
  ASSERT_EQ(launch(1, 64, 0, {memory.get(), memory.get(), memory.get(), memory.get(), memory.get()}), CUDA_SUCCESS);
  ASSERT_EQ(api().streamEndCapture(stream.get(), graph.out()), CUDA_SUCCESS);
  GraphExec executable;
  ASSERT_EQ(api().graphInstantiate(executable.out(), graph.get(), 0), CUDA_SUCCESS);
  memory = DeviceMemory();
  expectWrong(api().graphLaunch(executable.get(), stream.get()), "its memory was freed after the capture");
}

TEST_F(FakeDriverTest, handlesAndContextsAreChecked) {
  Event event;
  expectWrong(api().streamSynchronize(nullptr), "no such stream");
  expectWrong(api().eventRecord(nullptr, stream.get()), "no such event");
  ASSERT_EQ(api().eventCreate(event.out(), CU_EVENT_DEFAULT), CUDA_SUCCESS);
  float milliseconds = 0;
  expectWrong(api().eventElapsedTime(&milliseconds, event.get(), event.get()), "an event that was not recorded");
  CUfunction none = nullptr;
  EXPECT_EQ(api().moduleGetFunction(&none, module.get(), "nothing"), CUDA_ERROR_NOT_FOUND);
  expectWrong(api().moduleGetFunction(&none, nullptr, "append1"), "no such module");
  api().ctxSetCurrent(nullptr);
  expectWrong(api().streamSynchronize(stream.get()), "no context is current");
  context->enter();
}

TEST_F(FakeDriverTest, whatIsLeftBehindIsReported) {
  CUdeviceptr leaked = 0;
  ASSERT_EQ(api().memAlloc(&leaked, 8), CUDA_SUCCESS);
  stream = Stream();
  memory = DeviceMemory();
  pinned = PinnedBuffer();
  module = Module();
  context.reset();
  EXPECT_NE(readFile(directory.file("log")).find("1 allocations left behind"), std::string::npos);
  Context again(Driver::get().devices()[0]);
  api().memFree(leaked);
}

TEST_F(FakeDriverTest, ptxIsRead) {
  Module other;
  auto load = [&](const std::string &text) {
    return api().moduleLoadDataEx(other.out(), text.c_str(), 0, nullptr, nullptr);
  };
  const std::string good = ptx;
  auto changed = [&](const std::string &from, const std::string &to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  EXPECT_EQ(load(changed("7.4", "9.0")), CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
  EXPECT_EQ(load(changed("sm_86", "sm_90")), CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_EQ(load(changed(".version 7.4", "")), CUDA_ERROR_INVALID_PTX);
  expectWrong(load(changed("append1", "append2")), "kernel append2 has no host code here");
}

} // namespace
