// The CUDA device in this process, against the fake driver.
#include "runtime/cuda/CudaDevices.h"
#include "runtime/exec/Session.h"
#include "test/unit/cuda/CudaToy.h"

#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>

using namespace qlr;
using namespace qlr::test;

namespace {

class CudaDeviceTest : public testing::Test {
protected:
  void SetUp() override {
    path = directory.file("toy.qlr");
    log = directory.file("log");
    setenv("QLR_CUDA_DRIVER", QLR_FAKE_DRIVER, 1);
    setenv("QLR_FAKE_CUDA_KERNELS", (path + ".so").c_str(), 1);
    setenv("QLR_FAKE_CUDA_LOG", log.c_str(), 1);
    setenv("XDG_CACHE_HOME", directory.file("cache").c_str(), 1);
    for (const char *name : {"FAULT", "FAILING", "MEMORY"})
      unsetenv((std::string("QLR_FAKE_CUDA_") + name).c_str());
    unsetenv("QLR_CUDA_SYNC");
  }

  /// Whatever a test does, it does right: no wrong call, nothing left behind.
  void TearDown() override {
    std::string text = readFile(log);
    EXPECT_EQ(text.find("wrong: "), std::string::npos) << text;
  }

  Session open(const CudaToyOptions &toy = {}, const SessionOptions &options = {}) {
    writeCudaToy(path, toy);
    return Session(std::make_shared<Artifact>(Artifact::open(path)), options);
  }

  size_t logged(const std::string &line) {
    std::string text = readFile(log);
    size_t count = 0;
    for (size_t at = 0; (at = text.find(line, at)) != std::string::npos; at += line.size())
      ++count;
    return count;
  }

  static uint32_t best(std::span<const float> logits) {
    return static_cast<uint32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }

  static std::vector<uint32_t> someIds(size_t count) {
    std::vector<uint32_t> ids(count);
    for (size_t i = 0; i < count; ++i)
      ids[i] = static_cast<uint32_t>((i * 31 + 7) % cudaToyVocab);
    return ids;
  }

  TemporaryDirectory directory;
  std::string path, log;
};

TEST_F(CudaDeviceTest, everyChunkingAndPlacementGivesTheSame) {
  for (const char *embedding : {"host", "device", ""})
    for (size_t count : {1u, 7u, 8u, 9u, 128u, 137u, 300u}) {
      SessionOptions options;
      options.deviceOptions.embedding = embedding;
      Session session = open({}, options);
      std::vector<uint32_t> ids = someIds(count);
      EXPECT_EQ(best(session.append(ids)), cudaToyNext(ids)) << embedding << count;
      uint32_t next = 5;
      ids.push_back(next);
      EXPECT_EQ(best(session.append(std::span(&next, 1))), cudaToyNext(ids));
      session.rewind(0);
      EXPECT_EQ(best(session.append(std::span(&next, 1))), cudaToyNext({5}));
    }
}

TEST_F(CudaDeviceTest, logitsOfEveryPosition) {
  SessionOptions options;
  options.allLogits = true;
  Session session = open({}, options);
  std::vector<uint32_t> ids = someIds(128 + 16 + 3);
  session.appendAll(ids, [&](uint32_t first, uint32_t rows, const float *logits, uint64_t stride) {
    for (uint32_t row = 0; row < rows; ++row) {
      std::vector<uint32_t> sofar(ids.begin(), ids.begin() + first + row + 1);
      EXPECT_EQ(best(std::span(logits + row * stride, cudaToyVocab)), cudaToyNext(sofar)) << first + row;
    }
  });
}

TEST_F(CudaDeviceTest, plansAreGraphs) {
  {
    Session session = open();
    session.append(someIds(137)); // 128, 8, 1
    session.append(someIds(2));
  }
  EXPECT_EQ(logged("graph of 2 launches"), 3u);
  EXPECT_EQ(logged("graph launched"), 5u);
  EXPECT_EQ(logged("context released"), 1u);
}

TEST_F(CudaDeviceTest, oneAllocationHoldsEverything) {
  CudaToyOptions toy;
  toy.embeddingPadding = 100'000;
  SessionOptions options;
  options.context = 64;
  uint64_t onDevice = 0;
  for (const char *embedding : {"device", "host"}) {
    options.deviceOptions.embedding = embedding;
    Session session = open(toy, options);
    std::string text = readFile(log);
    ASSERT_EQ(logged("allocated "), embedding == std::string("device") ? 1u : 2u) << text;
    uint64_t bytes = std::stoull(text.substr(text.rfind("allocated ") + 10));
    const MemoryNeed need = session.memory();
    EXPECT_GE(bytes, need.total());
    EXPECT_LT(bytes, need.total() + 1024);
    if (embedding == std::string("device")) {
      EXPECT_EQ(need.hostWeights, 0u);
      onDevice = bytes;
    } else {
      EXPECT_EQ(need.hostWeights, session.plan().regions[0].bytes());
      EXPECT_LE(bytes + need.hostWeights, onDevice + 256);
      EXPECT_EQ(logged("page-locked " + std::to_string(need.hostWeights)), 1u);
    }
  }
}

TEST_F(CudaDeviceTest, memoryLimitBoundsTheAllocation) {
  SessionOptions options;
  options.context = 0; // as much as fits
  options.deviceOptions.memoryLimit = 60'000;
  Session session = open({}, options);
  EXPECT_LT(session.context(), 1000u);
  EXPECT_GE(session.context(), 64u);
  std::string text = readFile(log);
  EXPECT_LE(std::stoull(text.substr(text.find("allocated ") + 10)), 60'000u);
  std::vector<uint32_t> ids = someIds(session.context());
  EXPECT_EQ(best(session.append(ids)), cudaToyNext(ids));
}

TEST_F(CudaDeviceTest, compiledKernelsAreKept) {
  auto run = [&] {
    Session session = open();
    EXPECT_EQ(best(session.append(someIds(9))), cudaToyNext(someIds(9)));
  };
  run();
  const size_t kernels = logged("compiled ");
  EXPECT_EQ(kernels, 8u); // three appends, three last logits, two all logits
  run();
  EXPECT_EQ(logged("compiled "), kernels) << "the second time they come from the cache";
  // A damaged or cut file is made again.
  size_t damaged = 0;
  for (const auto &entry : std::filesystem::directory_iterator(directory.file("cache") + "/qlr/cubin")) {
    std::string content = readFile(entry.path());
    if (damaged == 0)
      content[content.size() / 2] ^= 1;
    else if (damaged == 1)
      content.resize(content.size() / 2);
    else if (damaged == 2)
      content.clear();
    else
      break;
    writeFile(entry.path(), content);
    ++damaged;
  }
  run();
  EXPECT_EQ(logged("compiled "), kernels + damaged);
  run();
  EXPECT_EQ(logged("compiled "), kernels + damaged);
}

TEST_F(CudaDeviceTest, withoutACacheFolderPtxIsLoaded) {
  setenv("XDG_CACHE_HOME", "/dev/null", 1);
  Session session = open();
  EXPECT_EQ(best(session.append(someIds(9))), cudaToyNext(someIds(9)));
  EXPECT_EQ(logged("compiled "), 0u) << "by the linker, whose result would be kept";
}

TEST_F(CudaDeviceTest, profilesEveryStep) {
  Session session = open();
  session.device().setProfiling(true);
  session.append(someIds(8));
  std::vector<StepTime> times = session.device().profile();
  ASSERT_EQ(times.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(times[i].step, i);
    EXPECT_GT(times[i].seconds, 0);
  }
  EXPECT_EQ(logged("graph launched"), 0u);
  session.device().setProfiling(false);
  session.append(someIds(1));
  EXPECT_EQ(logged("graph launched"), 1u);
  EXPECT_TRUE(session.device().profile().empty());
}

TEST_F(CudaDeviceTest, aGridHasNoMoreBlocksThanItems) {
  Session session = open();
  session.append(someIds(1));
  EXPECT_EQ(logged("kernel append1 grid 1\n"), 1u);
  EXPECT_EQ(logged("kernel last1 grid 2\n"), 1u) << "2 multiprocessors, one block of 60000 shared bytes on each";
}

TEST_F(CudaDeviceTest, aFaultIsOneMessage) {
  Session session = open();
  setenv("QLR_FAKE_CUDA_FAULT", "last1", 1);
  std::string message = messageOf([&] { session.append(someIds(1)); });
  EXPECT_NE(message.find("cuda:0 (Fake GPU), running a plan: found a fault of a kernel: CUDA_ERROR_ILLEGAL_ADDRESS (an "
                         "illegal memory access was encountered), expected kernels that end without one; run again "
                         "with QLR_CUDA_SYNC=1"),
            std::string::npos)
      << message;
  // The context is lost, and says so.
  unsetenv("QLR_FAKE_CUDA_FAULT");
  message = messageOf([&] { session.append(someIds(1)); });
  EXPECT_NE(message.find("CUDA_ERROR_ILLEGAL_ADDRESS"), std::string::npos) << message;
}

TEST_F(CudaDeviceTest, stepByStepAFaultNamesItsKernel) {
  setenv("QLR_CUDA_SYNC", "1", 1);
  Session session = open();
  setenv("QLR_FAKE_CUDA_FAULT", "last8", 1);
  std::string message = messageOf([&] { session.append(someIds(8)); });
  EXPECT_NE(message.find("kernel last8 (head): found a fault of a kernel"), std::string::npos) << message;
}

TEST_F(CudaDeviceTest, everyFailingCallIsAnError) {
  // Whatever the driver refuses, the message names the call's purpose and the driver's words; nothing is left behind.
  for (const char *function : {"cuDevicePrimaryCtxRetain",
                               "cuStreamCreate",
                               "cuMemGetInfo",
                               "cuLinkCreate",
                               "cuLinkAddData",
                               "cuLinkComplete",
                               "cuModuleLoadDataEx",
                               "cuModuleGetFunction",
                               "cuFuncSetAttribute",
                               "cuOccupancyMaxActiveBlocksPerMultiprocessor",
                               "cuMemAlloc",
                               "cuMemHostAlloc",
                               "cuMemHostGetDevicePointer",
                               "cuMemcpyHtoDAsync",
                               "cuEventCreate",
                               "cuEventRecord",
                               "cuMemsetD8Async",
                               "cuStreamSynchronize",
                               "cuStreamBeginCapture",
                               "cuLaunchKernel",
                               "cuStreamEndCapture",
                               "cuGraphInstantiate",
                               "cuGraphLaunch",
                               "cuMemcpyDtoHAsync",
                               "cuEventElapsedTime"}) {
    SCOPED_TRACE(function);
    std::filesystem::remove_all(directory.file("cache"));
    writeCudaToy(path);
    setenv("QLR_FAKE_CUDA_FAILING", function, 1);
    std::string message = messageOf([&] {
      Session session(std::make_shared<Artifact>(Artifact::open(path)), {});
      session.append(someIds(1));
      session.device().setProfiling(true);
      session.append(someIds(1));
    });
    EXPECT_NE(message.find("found "), std::string::npos) << message;
    EXPECT_NE(message.find("CUDA_ERROR_UNKNOWN"), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST_F(CudaDeviceTest, twoModelsShareADevice) {
  Session first = open();
  Session second(std::make_shared<Artifact>(Artifact::open(path)), {});
  for (size_t count : {9u, 3u}) {
    EXPECT_EQ(best(first.append(someIds(count))), best(second.append(someIds(count))));
  }
}

} // namespace
