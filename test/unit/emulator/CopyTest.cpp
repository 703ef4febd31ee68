// cp.async: when data lands, what is filled with zero, and reading too early. Block copies.
#include "test/unit/emulator/EmulatorFixture.h"

using namespace qlr;
using namespace qlr::test;

namespace {

/// Each thread copies 16 bytes of its input to shared memory; `wait` stands between; then it reads its first word.
std::string copyKernel(const std::string &before, const std::string &wait, const std::string &bytes = "16",
                       const std::string &source = "") {
  std::string suffix = source.empty() ? "" : ".s", cache = bytes == "16" ? "cg" : "ca";
  return perThread(4,
                   "  %to = getelementptr [4 x i32], ptr addrspace(3) @qlr_shared, i32 %tid\n" + before +
                       "  call void @llvm.nvvm.cp.async." + cache + ".shared.global." + bytes + suffix +
                       "(ptr addrspace(3) %to, ptr addrspace(1) %x0p" + (source.empty() ? "" : ", i32 " + source) +
                       ")\n" + wait +
                       "  %y0 = load i32, ptr addrspace(3) %to\n  %q = getelementptr i32, ptr addrspace(3) %to, i32 3\n"
                       "  %y1 = load i32, ptr addrspace(3) %q\n",
                   2);
}

const std::string kCommit = "  call void @llvm.nvvm.cp.async.commit.group()\n";
std::string waitGroup(int n) { return "  call void @llvm.nvvm.cp.async.wait.group(i32 " + std::to_string(n) + ")\n"; }
const std::string kZero = "  store [4 x i32] zeroinitializer, ptr addrspace(3) %to, align 16\n";

struct Copied {
  std::string fault;
  std::vector<uint32_t> in = randomWords(128, 20), out = std::vector<uint32_t>(64, 1);

  explicit Copied(const std::string &text, bool checks = true) {
    Device device(text);
    device.buffer(in, "in", true);
    device.buffer(out, "out");
    fault = device.run(1, 32, 512, {.checks = checks});
  }
};

TEST(CopyAsync, LandsAtItsWait) {
  for (const std::string &wait :
       {kCommit + waitGroup(0), std::string("  call void @llvm.nvvm.cp.async.wait.all()\n")}) {
    Copied run(copyKernel("", wait));
    EXPECT_EQ(run.fault, "");
    for (int t = 0; t < 32; ++t) {
      EXPECT_EQ(run.out[2 * t], run.in[4 * t]);
      EXPECT_EQ(run.out[2 * t + 1], run.in[4 * t + 3]);
    }
  }
}

TEST(CopyAsync, EarlyReadIsReported) {
  // No wait at all; a group still allowed to be under way; a copy that belongs to no group.
  for (const std::string &wait : {std::string(), kCommit + waitGroup(1), waitGroup(0)}) {
    Copied run(copyKernel(kZero, wait));
    EXPECT_TRUE(
        has(run.fault, "kernel k, block 0, thread 0: read of a byte that a copy (cp.async) under way is to write"));
    EXPECT_TRUE(has(run.fault, "shared byte 0 of 512"));
    // Unchecked, the old bytes are read: the copy is asynchronous in effect.
    Copied unchecked(copyKernel(kZero, wait), false);
    EXPECT_EQ(unchecked.fault, "");
    for (uint32_t word : unchecked.out)
      EXPECT_EQ(word, 0u);
  }
}

TEST(CopyAsync, OldestGroupsLandFirst) {
  // Two groups; waiting for all but one makes the first readable only.
  std::string second =
      "  %more = getelementptr i32, ptr addrspace(3) %to, i32 3\n"
      "  call void @llvm.nvvm.cp.async.ca.shared.global.4(ptr addrspace(3) %more, ptr addrspace(1) %x1p)\n";
  auto text = [&](int n) { return copyKernel(kZero, kCommit + second + kCommit + waitGroup(n), "4"); };
  Copied both(text(0));
  EXPECT_EQ(both.fault, "");
  EXPECT_EQ(both.out[0], both.in[0]);
  EXPECT_EQ(both.out[1], both.in[1]);
  Copied one(text(1), false);
  EXPECT_EQ(one.out[0], one.in[0]);
  EXPECT_EQ(one.out[1], 0u);
  EXPECT_TRUE(has(Copied(text(1)).fault, "under way"));
}

TEST(CopyAsync, RestIsZero) {
  Copied run(copyKernel("", kCommit + waitGroup(0), "16", "6"));
  EXPECT_EQ(run.fault, "");
  for (int t = 0; t < 32; ++t) {
    EXPECT_EQ(run.out[2 * t], run.in[4 * t]);
    EXPECT_EQ(run.out[2 * t + 1], 0u);
  }
  EXPECT_TRUE(has(Copied(copyKernel("", kCommit + waitGroup(0), "16", "20")).fault, "reads 20 bytes to copy 16"));
}

TEST(CopyAsync, SourceAndTargetAreChecked) {
  std::string past =
      "  %far = getelementptr i32, ptr addrspace(1) %in, i32 124\n"
      "  call void @llvm.nvvm.cp.async.ca.shared.global.8(ptr addrspace(3) %to, ptr addrspace(1) %far)\n"
      "  call void @llvm.nvvm.cp.async.ca.shared.global.16(ptr addrspace(3) %to, ptr addrspace(1) %far)\n";
  EXPECT_TRUE(has(Copied(copyKernel(past, kCommit + waitGroup(0))).fault, "write to a byte that a copy"));
  std::string over =
      "  %far = getelementptr i32, ptr addrspace(1) %in, i32 128\n"
      "  call void @llvm.nvvm.cp.async.ca.shared.global.8(ptr addrspace(3) %to, ptr addrspace(1) %far)\n";
  EXPECT_TRUE(has(Copied(copyKernel(over, "")).fault, "read out of bounds at 'cp.async.ca.shared.global.8"));
  std::string odd =
      "  %far = getelementptr i32, ptr addrspace(1) %in, i32 1\n"
      "  call void @llvm.nvvm.cp.async.ca.shared.global.16(ptr addrspace(3) %to, ptr addrspace(1) %far)\n";
  EXPECT_TRUE(has(Copied(copyKernel(odd, "")).fault, "misaligned access at 'cp.async"));
}

TEST(BlockCopy, MemcpyAndMemset) {
  std::string code =
      "  call void @llvm.memset.p1.i64(ptr addrspace(1) %out, i8 90, i64 16, i1 false)\n"
      "  %to = getelementptr i8, ptr addrspace(1) %out, i64 16\n"
      "  call void @llvm.memcpy.p1.p1.i64(ptr addrspace(1) %to, ptr addrspace(1) %in, i64 LENGTH, i1 false)\n"
      "  ret void\n}\n"
      "declare void @llvm.memset.p1.i64(ptr addrspace(1), i8, i64, i1)\n"
      "declare void @llvm.memcpy.p1.p1.i64(ptr addrspace(1), ptr addrspace(1), i64, i1)\n";
  for (int length : {40, 44}) {
    std::string text = "define ptx_kernel void @k(ptr addrspace(1) %in, ptr addrspace(1) %out) {\n" + code;
    text.replace(text.find("LENGTH"), 6, std::to_string(length));
    Device device(text);
    std::vector<uint32_t> in = randomWords(10, 21), out(20);
    device.buffer(in, "in", true);
    device.buffer(out, "out");
    std::string fault = device.run(1, 1);
    if (length == 44) {
      EXPECT_TRUE(has(fault, "read out of bounds at 'memcpy"));
      continue;
    }
    EXPECT_EQ(fault, "");
    for (int i = 0; i < 20; ++i)
      EXPECT_EQ(out[i], i < 4 ? 0x5a5a5a5a : i < 14 ? in[i - 4] : 0u);
  }
}

} // namespace
