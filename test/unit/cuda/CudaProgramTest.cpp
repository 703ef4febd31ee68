// Programs against the fake driver: one clear message for everything that can be wrong with driver, device or artifact.
#include "test/unit/cuda/CudaToy.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace qlr;
using namespace qlr::test;

namespace {

class CudaProgramTest : public testing::Test {
protected:
  /// Runs a program of the build on a toy, under an environment.
  Outcome run(const std::string &program, const std::string &arguments, const std::string &environment = "",
              const CudaToyOptions &toy = {}) {
    path = directory.file("toy.qlr");
    writeCudaToy(path, toy);
    return runCommand("env " + fakeEnvironment(path, directory.file("log"), environment) + QLR_PROGRAMS "/qlr-" +
                      program + " " + arguments);
  }

  /// qlr run on three ids ends with one line that says all of `parts`.
  void expectError(const std::vector<std::string> &parts, const std::string &environment,
                   const std::string &arguments = "", const CudaToyOptions &toy = {}) {
    Outcome outcome = run("run", directory.file("toy.qlr") + " --prompt-ids 1,2,3 -n 2 " + arguments, environment, toy);
    EXPECT_EQ(outcome.code, 1);
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_TRUE(outcome.err.starts_with("error: ")) << outcome.err;
    for (const std::string &part : parts)
      EXPECT_NE(outcome.err.find(part), std::string::npos) << part << " is not in " << outcome.err;
    EXPECT_EQ(readFile(directory.file("log")).find("wrong: "), std::string::npos) << readFile(directory.file("log"));
  }

  TemporaryDirectory directory;
  std::string path;
};

TEST_F(CudaProgramTest, aModelRuns) {
  for (const char *arguments : {"", "--device cuda", "--device cuda:0 --head host", "--embedding device"}) {
    Outcome outcome = run("run", directory.file("toy.qlr") + " --prompt-ids 1,2,3 -n 2 " + arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    uint32_t first = cudaToyNext({1, 2, 3}), second = cudaToyNext({1, 2, 3, first});
    EXPECT_EQ(outcome.out, std::to_string(first) + "," + std::to_string(second) + "\n");
    EXPECT_EQ(readFile(directory.file("log")).find("wrong: "), std::string::npos) << readFile(directory.file("log"));
  }
}

TEST_F(CudaProgramTest, devicesAreListed) {
  Outcome outcome = run("run", "--list-devices", "QLR_FAKE_CUDA_DEVICES=2");
  EXPECT_EQ(outcome.code, 0);
  for (const char *line : {"host: ",
                           "cuda:0: Fake GPU, compute capability 8.6, 2 multiprocessors, 4.00 GB, driver for "
                           "CUDA 12.4\n",
                           "cuda:1: Fake GPU"})
    EXPECT_NE(outcome.out.find(line), std::string::npos) << outcome.out;
  for (const char *environment : {"QLR_FAKE_CUDA_DEVICES=0", "QLR_CUDA_DRIVER=/nowhere/libcuda.so"}) {
    outcome = run("run", "--list-devices", environment);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_NE(outcome.out.find("cuda: none: "), std::string::npos) << outcome.out;
  }
}

TEST_F(CudaProgramTest, noDriver) {
  expectError({"CUDA: found no driver (/nowhere/libcuda.so: ", "expected an NVIDIA driver", "install the driver"},
              "QLR_CUDA_DRIVER=/nowhere/libcuda.so");
  expectError({"CUDA: found a driver without cuInit, expected CUDA 11.4 or newer; update the NVIDIA driver"},
              "QLR_CUDA_DRIVER=libm.so.6");
}

TEST_F(CudaProgramTest, noDevice) {
  expectError({"CUDA: found a driver and no device (CUDA_ERROR_NO_DEVICE), expected an NVIDIA GPU"},
              "QLR_FAKE_CUDA_DEVICES=0");
  expectError({"--device: found 'cuda:3', expected cuda:0 to cuda:1; see --list-devices"}, "QLR_FAKE_CUDA_DEVICES=2",
              "--device cuda:3");
  expectError({"--device: found 'cuda:x', expected cuda:0"}, "", "--device cuda:x");
}

TEST_F(CudaProgramTest, driverTooOld) {
  CudaToyOptions toy;
  toy.ptxVersion = "7.8";
  expectError(
      {"kernel append1: found a driver for CUDA 11.4, which takes PTX up to 7.4, expected CUDA 11.8 or newer, for "
       "PTX 7.8; update the NVIDIA driver"},
      "QLR_FAKE_CUDA_VERSION=11040", "", toy);
}

TEST_F(CudaProgramTest, tooLittleMemory) {
  CudaToyOptions toy;
  toy.embeddingPadding = 3'000'000;
  toy.maxPositions = 100'000;
  // 128 MB are left to the driver.
  expectError({"found 2.0 MB of available memory, expected ",
               " for a context of 50000 (weights 128 bytes, cache 6.4 MB",
               "the largest context that fits is --ctx-size "},
              "QLR_FAKE_CUDA_MEMORY=130000000", "--ctx-size 50000", toy);
  expectError({"no context fits"}, "QLR_FAKE_CUDA_MEMORY=130000000", "--embedding device", toy);
  expectError({"found 5.0 MB of available memory"}, "", "--ctx-size 50000 --memory-limit 5MB", toy);
  // The figure it names is right: that context runs, one more granule does not.
  Outcome outcome = run("run", directory.file("toy.qlr") + " --prompt-ids 1 -n 1 -c 50000 --memory-limit 5MB", "", toy);
  std::string largest = outcome.err.substr(outcome.err.find("--ctx-size ") + 11);
  uint32_t fits = static_cast<uint32_t>(std::stoul(largest));
  for (uint32_t more : {0u, 64u}) {
    outcome = run(
        "run", directory.file("toy.qlr") + " --prompt-ids 1 -n 1 --memory-limit 5MB -c " + std::to_string(fits + more),
        "", toy);
    EXPECT_EQ(outcome.code, more ? 1 : 0) << outcome.err;
  }
}

TEST_F(CudaProgramTest, memoryTakenByAnother) {
  expectError(
      {"cuda:0, memory for weights, cache and workspace: found CUDA_ERROR_UNKNOWN", "in one piece", "see nvidia-smi"},
      "QLR_FAKE_CUDA_FAILING=cuMemAlloc");
}

TEST_F(CudaProgramTest, wrongTarget) {
  CudaToyOptions toy;
  toy.targets = {"sm_90"};
  expectError(
      {"found an artifact for sm_90, expected one that runs on cuda:0 (Fake GPU, compute capability 8.6); compile "
       "with --target sm_86"},
      "", "", toy);
  expectError({"found an artifact for sm_90, expected one for host; compile with --target host"}, "", "--device host",
              toy);
  toy.targets = {"sm_80"};
  expectError({"Fake GPU, compute capability 7.5, expected 8.0 or newer"}, "QLR_FAKE_CUDA_CAPABILITY=75", "", toy);
}

TEST_F(CudaProgramTest, newerDevicesRunOlderTargets) {
  CudaToyOptions toy;
  toy.targets = {"sm_80", "sm_86"};
  for (const char *capability : {"80", "86", "89", "90", "120"}) {
    Outcome outcome = run("run", directory.file("toy.qlr") + " --prompt-ids 1 -n 1",
                          std::string("QLR_FAKE_CUDA_CAPABILITY=") + capability, toy);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
  }
}

TEST_F(CudaProgramTest, theCompilersLogIsShown) {
  const std::string log = "CUDA_ERROR_INVALID_PTX (a PTX JIT compilation failed) from the driver's compiler: ptxas "
                          "application ptx input, line 7; error : Unknown symbol 'planted' ptxas fatal : aborted";
  expectError({"kernel append1: found " + log}, "QLR_FAKE_CUDA_FAILING=jit");
  expectError({"kernel append1: found " + log}, "QLR_FAKE_CUDA_FAILING=jit XDG_CACHE_HOME=/dev/null");
}

TEST_F(CudaProgramTest, kernelsBeyondTheDevice) {
  CudaToyOptions toy;
  toy.edit = [](Plan &plan) { plan.kernels[1].sharedBytes = 120'000; };
  expectError(
      {"kernel last1: found 64 threads and 120000 bytes of shared memory a block, expected 1 to 1024 threads and "
       "at most 101376 bytes, which is what Fake GPU has"},
      "", "", toy);
  toy.edit = [](Plan &plan) { plan.kernels[1].name = "other"; };
  expectError({"kernel other: found CUDA_ERROR_NOT_FOUND"}, "", "", toy);
}

TEST_F(CudaProgramTest, kernelFault) {
  expectError({"cuda:0 (Fake GPU), running a plan: found a fault of a kernel: CUDA_ERROR_ILLEGAL_ADDRESS"},
              "QLR_FAKE_CUDA_FAULT=last1");
  expectError({"kernel last1 (head): found a fault of a kernel: CUDA_ERROR_ILLEGAL_ADDRESS"},
              "QLR_FAKE_CUDA_FAULT=last1 QLR_CUDA_SYNC=1");
}

TEST_F(CudaProgramTest, placementThatTheModelCannotHave) {
  CudaToyOptions toy;
  toy.edit = [](Plan &plan) { plan.regions[0].kind = PlanRegion::Kind::Head; };
  expectError({"--embedding: found host, expected a model whose embedding is not its head too"}, "", "--embedding host",
              toy);
  Outcome outcome = run("run", directory.file("toy.qlr") + " --prompt-ids 1,2 -n 1 --head host -v", "", toy);
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.err.find("; in host memory "), std::string::npos) << outcome.err;
}

TEST_F(CudaProgramTest, dependentLaunchesWhereTheyHelp) {
  CudaToyOptions toy;
  toy.dependent = true;
  auto dependentLaunches = [&](const std::string &environment) {
    std::filesystem::remove(directory.file("log"));
    Outcome outcome = run("run", directory.file("toy.qlr") + " --prompt-ids 1,2,3 -n 2", environment, toy);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    std::string log = readFile(directory.file("log"));
    EXPECT_EQ(log.find("wrong: "), std::string::npos) << log;
    size_t count = 0;
    for (size_t at = 0; (at = log.find("dependent launch", at)) != std::string::npos; ++at)
      ++count;
    return count;
  };
  EXPECT_EQ(dependentLaunches(""), 0u);
  EXPECT_EQ(dependentLaunches("QLR_FAKE_CUDA_CAPABILITY=90"), 3u)
      << "the second kernel of each plan of 1, 8, 128 tokens";
  EXPECT_EQ(dependentLaunches("QLR_FAKE_CUDA_CAPABILITY=90 QLR_FAKE_CUDA_VERSION=12020"), 0u);
  toy.dependent = false;
  EXPECT_EQ(dependentLaunches("QLR_FAKE_CUDA_CAPABILITY=90"), 0u);
}

TEST_F(CudaProgramTest, inspectTellsDeviceAndHostMemoryApart) {
  CudaToyOptions toy;
  toy.embeddingPadding = 1'000'000;
  toy.targets = {"sm_86", "sm_80"};
  auto memory = [&](const std::string &arguments) {
    Outcome outcome = run("inspect", directory.file("toy.qlr") + " --json -c 512 " + arguments, "", toy);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  };
  nlohmann::json host = memory(""), device = memory("--embedding device --target sm_80");
  EXPECT_EQ(host["target"], "sm_86");
  EXPECT_EQ(device["target"], "sm_80");
  const uint64_t embedding = host["memory"]["host"].get<uint64_t>();
  EXPECT_GE(embedding, 1'000'000u);
  EXPECT_FALSE(device["memory"].contains("host"));
  EXPECT_EQ(host["memory"]["weights"].get<uint64_t>() + embedding, device["memory"]["weights"].get<uint64_t>());
  EXPECT_EQ(host["memory"]["total"].get<uint64_t>() + embedding, device["memory"]["total"].get<uint64_t>());
  Outcome outcome = run("inspect", directory.file("toy.qlr") + " --memory-limit 100kB -c 1000", "", toy);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("the largest context that fits is --ctx-size "), std::string::npos) << outcome.err;
  outcome = run("inspect", directory.file("toy.qlr") + " --target sm_90", "", toy);
  EXPECT_NE(outcome.err.find("found an artifact for sm_86, sm_80, expected one for sm_90"), std::string::npos)
      << outcome.err;
}

TEST_F(CudaProgramTest, benchProfiles) {
  Outcome outcome = run("bench", directory.file("toy.qlr") + " -p 128 -n 4 -r 1 --profile");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("append128"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.out.find("cuda:0: Fake GPU"), std::string::npos) << outcome.out;
}

} // namespace
