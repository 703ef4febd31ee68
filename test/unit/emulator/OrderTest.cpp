// Synchronization between blocks: release and acquire, tickets, fences, deadlock.
#include "test/unit/emulator/EmulatorFixture.h"

using namespace qlr;
using namespace qlr::test;

namespace {

const std::string kHead = R"(
define ptx_kernel void @k(ptr addrspace(1) %data, ptr addrspace(1) %sync, ptr addrspace(1) %out) {
entry:
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %blocks = call i32 @llvm.nvvm.read.ptx.sreg.nctaid.x()
  %leads = icmp eq i32 %tid, 0
)";

/// What a kernel of two phases is made of. Blocks take numbers from a ticket counter (word 0). Each writes its 32 words
/// of `data`; `meet`; thread 0 adds 1 to word 1 by `add`; then it spins on word 1 by `look` until all blocks have;
/// `meetAgain`; every thread reads what its neighbour block wrote.
struct Phases {
  std::string meet = "  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)\n", meetAgain = meet;
  std::string add = "  call void asm sideeffect \"red.release.gpu.global.add.u32 [$0], $1;\", \"l,r,~{memory}\""
                    "(ptr addrspace(1) %count, i32 1)\n";
  std::string look = "  %seen = call i32 asm sideeffect \"ld.acquire.gpu.global.u32 $0, [$1];\", \"=r,l,~{memory}\""
                     "(ptr addrspace(1) %count)\n";
  std::string sleep = "  call void asm sideeffect \"nanosleep.u32 $0;\", \"r,~{memory}\"(i32 20)\n";
  std::string target = "%blocks";

  std::string text() const {
    return kHead + R"(
  br i1 %leads, label %take, label %taken
take:
  %t = call i32 asm sideeffect "atom.relaxed.gpu.global.add.u32 $0, [$1], $2;", "=r,l,r,~{memory}"(ptr addrspace(1) %sync, i32 1)
  store i32 %t, ptr addrspace(3) @qlr_shared
  br label %taken
taken:
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %number = load i32, ptr addrspace(3) @qlr_shared
  %count = getelementptr i32, ptr addrspace(1) %sync, i32 1
  %first = mul i32 %number, 32
  %index = add i32 %first, %tid
  %mine = getelementptr i32, ptr addrspace(1) %data, i32 %index
  %value = mul i32 %index, 3
  store i32 %value, ptr addrspace(1) %mine
)" + meet + "  br i1 %leads, label %release, label %waited\nrelease:\n" +
           add + "  br label %spin\nspin:\n" + look + "  %enough = icmp eq i32 %seen, " + target +
           "\n  br i1 %enough, label %waited, label %again\nagain:\n" + sleep + "  br label %spin\nwaited:\n" +
           meetAgain + R"(
  %next = add i32 %number, 1
  %wrapped = urem i32 %next, %blocks
  %other = mul i32 %wrapped, 32
  %at = add i32 %other, %tid
  %theirs = getelementptr i32, ptr addrspace(1) %data, i32 %at
  %got = load i32, ptr addrspace(1) %theirs
  %to = getelementptr i32, ptr addrspace(1) %out, i32 %index
  store i32 %got, ptr addrspace(1) %to
  ret void
}
)";
  }
};

struct Result {
  std::string fault;
  std::vector<uint32_t> out;
};

Result run(const Phases &phases, const LaunchOptions &options = {}, bool instrument = true) {
  const uint32_t blocks = 6;
  Device device(phases.text(), instrument);
  std::vector<uint32_t> data(blocks * 32), sync(2), out(blocks * 32);
  device.buffer(data, "data");
  device.buffer(sync, "sync");
  device.buffer(out, "out");
  Result result;
  result.fault = device.run(blocks, 32, 16, options);
  result.out = out;
  return result;
}

TEST(Order, ReleaseAndAcquire) {
  for (uint64_t seed : {0, 1, 2, 3, 4})
    for (unsigned hostThreads : {1u, 3u})
      for (bool instrument : {true, false}) {
        Result result = run({}, {.seed = seed, .hostThreads = hostThreads}, instrument);
        EXPECT_EQ(result.fault, "") << seed << " " << hostThreads;
        for (uint32_t i = 0; i < 192; ++i)
          EXPECT_EQ(result.out[i], (i + 32) % 192 * 3);
      }
}

TEST(Order, SpinWithoutPauseGivesWay) { EXPECT_EQ(run({.sleep = ""}).fault, ""); }

TEST(Order, AcquireReleaseUpdatesOrder) {
  Phases phases;
  phases.add =
      "  %old = call i32 asm sideeffect \"atom.acq_rel.gpu.global.add.u32 $0, [$1], $2;\", \"=r,l,r,~{memory}\""
      "(ptr addrspace(1) %count, i32 1)\n";
  EXPECT_EQ(run(phases).fault, "");
}

/// Every weakening is a race in every order of blocks.
void expectRace(const Phases &phases, const std::string &where) {
  for (uint64_t seed : {0, 1, 2, 3}) {
    std::string fault = run(phases, {.seed = seed}).fault;
    EXPECT_TRUE(has(fault, "data race at '" + where));
    EXPECT_TRUE(has(fault, "of 'data' of 768 bytes, which block "));
  }
}

TEST(Order, WeakReleaseIsARace) {
  Phases phases;
  phases.add = "  call void asm sideeffect \"red.relaxed.gpu.global.add.u32 [$0], $1;\", \"l,r,~{memory}\""
               "(ptr addrspace(1) %count, i32 1)\n";
  expectRace(phases, "load i32");
}

TEST(Order, WeakAcquireIsARace) {
  Phases phases;
  phases.look = "  %seen = call i32 asm sideeffect \"ld.relaxed.gpu.global.u32 $0, [$1];\", \"=r,l,~{memory}\""
                "(ptr addrspace(1) %count)\n";
  expectRace(phases, "load i32");
}

TEST(Order, PlainLoadInASpinIsARace) {
  Phases phases;
  phases.look = "  %seen = load i32, ptr addrspace(1) %count\n";
  phases.sleep = "";
  for (uint64_t seed : {0, 1}) {
    std::string fault = run(phases, {.seed = seed}).fault;
    EXPECT_TRUE(has(fault, "data race at '"));
    EXPECT_TRUE(has(fault, "of 'sync' of 8 bytes"));
  }
}

TEST(Order, AtomicrmwHasNoOrderOnThisTarget) {
  Phases phases;
  phases.add = "  %old = atomicrmw add ptr addrspace(1) %count, i32 1 syncscope(\"device\") acq_rel\n";
  expectRace(phases, "load i32");
  // With a fence before it, it has.
  phases.add = "  fence syncscope(\"device\") acq_rel\n" + phases.add;
  EXPECT_EQ(run(phases).fault, "");
  // And likewise behind a relaxed load.
  phases.look = "  %seen = load atomic i32, ptr addrspace(1) %count syncscope(\"device\") monotonic, align 4\n";
  expectRace(phases, "load i32");
  phases.look += "  fence syncscope(\"device\") acquire\n";
  EXPECT_EQ(run(phases).fault, "");
}

TEST(Order, BarriersArePartOfTheChain) {
  Phases before;
  before.meet = ""; // only what thread 0 wrote itself is released
  expectRace(before, "load i32");
  Phases after;
  after.meetAgain = ""; // only thread 0 has acquired
  std::string fault = run(after).fault;
  EXPECT_TRUE(has(fault, "data race at '"));
  // A warp-level barrier is enough for one warp.
  Phases warp;
  warp.meet = warp.meetAgain = "  call void @llvm.nvvm.bar.warp.sync(i32 -1)\n";
  EXPECT_EQ(run(warp).fault, "");
}

TEST(Order, WaitingForWhatNeverComes) {
  Phases phases;
  phases.target = "77";
  for (uint64_t seed : {0, 1})
    for (unsigned hostThreads : {1u, 2u}) {
      std::string fault = run(phases, {.seed = seed, .hostThreads = hostThreads}).fault;
      EXPECT_TRUE(has(fault, "deadlock: waits at '")) << fault;
      EXPECT_TRUE(has(fault, "thread 0"));
    }
}

TEST(Order, BlocksThatShareWordsRace) {
  // No synchronization at all: two blocks write the same word.
  std::string text = kHead + "  store i32 %blocks, ptr addrspace(1) %data\n  ret void\n}\n";
  Device device(text);
  std::vector<uint32_t> data(1), sync(1), out(1);
  device.buffer(data, "data");
  device.buffer(sync, "sync");
  device.buffer(out, "out");
  EXPECT_EQ(device.run(1, 1), "");
  // Another launch is ordered behind the first.
  EXPECT_EQ(device.run(1, 1), "");
  std::string fault = device.run(2, 1);
  EXPECT_TRUE(has(fault, "block 1, thread 0: data race at 'store i32 #0"));
  EXPECT_TRUE(has(fault, "which block 0, thread 0 wrote; nothing orders the two"));
}

TEST(Order, AtomicsDoNotRaceAmongThemselvesButWithPlainAccesses) {
  auto text = [](const std::string &more) {
    return kHead + "  %o = atomicrmw add ptr addrspace(1) %data, i32 2 monotonic\n" + more + "  ret void\n}\n";
  };
  auto run = [&](const std::string &more) {
    Device device(text(more));
    std::vector<uint32_t> data(1), sync(1), out(1);
    device.buffer(data, "data");
    device.buffer(sync, "sync");
    device.buffer(out, "out");
    std::string fault = device.run(4, 64);
    EXPECT_TRUE(!fault.empty() || data[0] == 2u * 4 * 64);
    return fault;
  };
  EXPECT_EQ(run(""), "");
  EXPECT_TRUE(has(run("  %plain = load i32, ptr addrspace(1) %data\n"), "data race at 'atomic atomicrmw i32"));
  std::string barrier = "  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)\n";
  std::string fault = run(barrier + "  %plain = load i32, ptr addrspace(1) %data\n" + barrier);
  EXPECT_TRUE(has(fault, "data race at '"));
}

TEST(Order, AtomicOperations) {
  struct Case {
    const char *name;
    int64_t result; // of 10 op -3
  };
  const Case cases[] = {{"add", 7},  {"and", 10 & -3}, {"or", 10 | -3}, {"xor", 10 ^ -3}, {"xchg", -3},
                        {"min", -3}, {"max", 10},      {"umin", 10},    {"umax", -3}};
  for (const Case &one : cases)
    for (const char *type : {"i32", "i64"}) {
      std::string t = type;
      Device device(kHead + "  %o = atomicrmw " + one.name + " ptr addrspace(1) %data, " + t +
                    " -3 monotonic\n  store " + t + " %o, ptr addrspace(1) %out\n  ret void\n}\n");
      std::vector<int64_t> data = {t == "i32" ? 0x1234500000000 + 10 : 10}, sync(1), out(1);
      int64_t high = data[0] & ~0xffffffffll;
      device.buffer(data, "data");
      device.buffer(sync, "sync");
      device.buffer(out, "out");
      ASSERT_EQ(device.run(1, 1), "");
      EXPECT_EQ(out[0], 10) << one.name;
      if (t == "i32")
        EXPECT_EQ(data[0], high | static_cast<uint32_t>(one.result)) << one.name;
      else
        EXPECT_EQ(data[0], one.result) << one.name;
    }
  // cmpxchg gives the old value and whether it matched; fadd adds floats.
  Device device(kHead + R"(
  %a = cmpxchg ptr addrspace(1) %data, i32 10, i32 20 monotonic monotonic
  %b = cmpxchg ptr addrspace(1) %data, i32 10, i32 30 monotonic monotonic
  %old = extractvalue {i32, i1} %b, 0
  %hit = extractvalue {i32, i1} %a, 1
  %miss = extractvalue {i32, i1} %b, 1
  %h = zext i1 %hit to i32
  %m = zext i1 %miss to i32
  %h2 = shl i32 %h, 8
  %m2 = shl i32 %m, 9
  %s = add i32 %old, %h2
  %s2 = add i32 %s, %m2
  store i32 %s2, ptr addrspace(1) %out
  %f = atomicrmw fadd ptr addrspace(1) %sync, float 1.5 monotonic
  ret void
}
)");
  std::vector<uint32_t> data = {10}, out(1);
  std::vector<float> sync = {2.25f};
  device.buffer(data, "data");
  device.buffer(sync, "sync");
  device.buffer(out, "out");
  ASSERT_EQ(device.run(1, 1), "");
  EXPECT_EQ(data[0], 20u);
  EXPECT_EQ(out[0], 20u + 256);
  EXPECT_EQ(sync[0], 3.75f);
}

} // namespace
