// What PTX texts say, and which driver and device take them.
#include "runtime/cuda/Ptx.h"
#include "runtime/cuda/CudaDevices.h"
#include "test/unit/cuda/CudaToy.h"

#include <gtest/gtest.h>

using namespace qlr;
using namespace qlr::test;

namespace {

Plan planOf(size_t kernels) {
  Plan plan;
  plan.target = "sm_86";
  plan.kernels.resize(kernels);
  return plan;
}

std::vector<PtxText> split(const std::string &image, size_t kernels) {
  return splitPtx(std::as_bytes(std::span(image)), planOf(kernels), "m.qlr");
}

TEST(Ptx, TextsAreSplitAndRead) {
  std::string first = "// by qlr\n.version 7.8\n.target sm_90\n.entry a() { griddepcontrol.wait; }\n";
  std::string second = ".version 8.0\n.target sm_86, debug\n// no griddepcontrol here\n.entry b() {}\n";
  std::string image = first + '\0' + second + '\0';
  std::vector<PtxText> texts = split(image, 2);
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_EQ(texts[0].text, first);
  EXPECT_EQ(texts[0].text.data()[first.size()], '\0') << "the driver is told no size";
  EXPECT_EQ(texts[0].version, 78);
  EXPECT_EQ(texts[0].target, "sm_90");
  EXPECT_TRUE(texts[0].dependentLaunch);
  EXPECT_EQ(texts[1].version, 80);
  EXPECT_EQ(texts[1].target, "sm_86");
  EXPECT_FALSE(texts[1].dependentLaunch);
}

TEST(Ptx, DamageIsNamed) {
  const std::string good = std::string(".version 7.8\n.target sm_90\n") + '\0';
  auto refusal = [](const std::string &image, size_t kernels) { return messageOf([&] { split(image, kernels); }); };
  EXPECT_NE(refusal(good, 2).find("m.qlr: kernels/sm_86: found 1 kernels, expected 2 by the plan"), std::string::npos);
  EXPECT_NE(refusal(good.substr(0, 20), 1).find("a text without its end"), std::string::npos);
  EXPECT_NE(refusal(std::string("ELF") + '\0', 1).find("a text without .version"), std::string::npos);
  // A version inside a line is none.
  EXPECT_NE(refusal(std::string("// .version 7.8\n") + '\0', 1).find("a text without .version"), std::string::npos);
}

TEST(Ptx, VersionsOfDrivers) {
  EXPECT_EQ(driverForPtx(70), 11000);
  EXPECT_EQ(driverForPtx(78), 11080);
  EXPECT_EQ(driverForPtx(85), 12050);
  EXPECT_EQ(driverForPtx(86), 12070);
  EXPECT_EQ(driverForPtx(91), 13010);
  EXPECT_EQ(ptxForDriver(10020), 0);
  EXPECT_EQ(ptxForDriver(11040), 74);
  EXPECT_EQ(ptxForDriver(12060), 85);
  EXPECT_EQ(ptxForDriver(12070), 86);
  for (int ptx : {70, 74, 78, 80, 84, 85, 86, 90})
    EXPECT_GE(ptxForDriver(driverForPtx(ptx)), ptx);
}

TEST(Ptx, TheBestTargetOfADevice) {
  const std::vector<std::string> targets = {"host", "sm_80", "sm_90", "emulator:sm_86", "sm_86", "sm_90a"};
  EXPECT_EQ(bestCudaTarget(targets, 75), "");
  EXPECT_EQ(bestCudaTarget(targets, 80), "sm_80");
  EXPECT_EQ(bestCudaTarget(targets, 86), "sm_86");
  EXPECT_EQ(bestCudaTarget(targets, 89), "sm_86") << "PTX runs on newer devices";
  EXPECT_EQ(bestCudaTarget(targets, 90), "sm_90");
  EXPECT_EQ(bestCudaTarget(targets, 120), "sm_90");
  EXPECT_EQ(capabilityOf("sm_100"), 100);
  EXPECT_FALSE(capabilityOf("sm_"));
  EXPECT_FALSE(capabilityOf("emulator:sm_86"));
}

} // namespace
