// Every detector with a kernel that has the fault and a twin that has not.
#include "test/unit/emulator/EmulatorFixture.h"

using namespace qlr;
using namespace qlr::test;

namespace {

const std::string kBarrier = "  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)\n";

/// The report of one block of 64 threads whose threads have %x0, do `code`, and store %y0; 256 bytes of shared memory.
std::string report(const std::string &code, const LaunchOptions &options = {}, uint32_t threads = 64) {
  Device device(perThread(1, code, 1));
  std::vector<uint32_t> in = randomWords(threads, 30), out(threads);
  device.buffer(in, "in", true);
  device.buffer(out, "out");
  return device.run(1, threads, 256, options);
}

/// Thread t writes word t of shared memory, `between`, and reads word `from`.
std::string wordsThrough(const std::string &between, const std::string &from = "%other") {
  return "  %mine = getelementptr i32, ptr addrspace(3) @qlr_shared, i32 %tid\n"
         "  store i32 %x0, ptr addrspace(3) %mine\n" +
         between +
         "  %other = xor i32 %tid, 63\n  %near = xor i32 %tid, 1\n"
         "  %p = getelementptr i32, ptr addrspace(3) @qlr_shared, i32 " +
         from + "\n  %y0 = load i32, ptr addrspace(3) %p\n";
}

TEST(Fault, RaceInSharedMemory) {
  for (uint64_t seed : {0, 1, 2}) {
    EXPECT_EQ(report(wordsThrough(kBarrier), {.seed = seed}), "");
    std::string fault = report(wordsThrough(""), {.seed = seed});
    // Warps run one after the other: one of the two that exchange words meets the other's write, or none yet.
    EXPECT_TRUE(has(fault, "data race at 'load i32 #2") || has(fault, "never written")) << fault;
  }
  // The other order: a word is read, then another thread overwrites it.
  std::string after = "  %q = getelementptr i32, ptr addrspace(3) @qlr_shared, i32 %other\n"
                      "  store i32 0, ptr addrspace(3) %mine\n";
  EXPECT_EQ(report(wordsThrough(kBarrier) + kBarrier + after), "");
  std::string fault = report(wordsThrough(kBarrier) + after);
  EXPECT_TRUE(has(fault, "data race at 'load i32")) << "the next warp reads what was overwritten";
  EXPECT_TRUE(has(fault, "nothing orders the two"));
  // Two writers of one word.
  std::string both = "  store i32 %x0, ptr addrspace(3) @qlr_shared\n  %y0 = add i32 %x0, 0\n";
  fault = report(both);
  EXPECT_TRUE(has(fault, "kernel k, block 0, thread 1: data race at 'store i32 #1"));
  EXPECT_TRUE(has(fault, "writes 1 byte at shared byte 0 of 256, which thread 0 wrote"));
}

TEST(Fault, ReadersOfOneWordAreRemembered) {
  // All read word 0, which one of them then overwrites: the second to read it, or one of many.
  auto code = [](const std::string &between, const std::string &writer) {
    return "  %first = icmp eq i32 %tid, 0\n  br i1 %first, label %init, label %go\ninit:\n"
           "  store i32 7, ptr addrspace(3) @qlr_shared\n  br label %go\ngo:\n" +
           kBarrier + "  %y0 = load i32, ptr addrspace(3) @qlr_shared\n" + between + "  %last = icmp eq i32 %tid, " +
           writer +
           "\n  br i1 %last, label %over, label %end\nover:\n"
           "  store i32 8, ptr addrspace(3) @qlr_shared\n  br label %end\nend:\n";
  };
  for (const char *writer : {"32", "62"}) {
    EXPECT_EQ(report(code(kBarrier, writer)), "");
    EXPECT_TRUE(has(report(code("", writer)), "thread " + std::string(writer) + ": data race at 'store i32"));
  }
}

TEST(Fault, WarpBarrierOrdersItsLanesOnly) {
  std::string warp = "  call void @llvm.nvvm.bar.warp.sync(i32 -1)\n";
  EXPECT_EQ(report(wordsThrough(warp, "%near")), "");
  EXPECT_TRUE(has(report(wordsThrough("", "%near")), "never written"));
  EXPECT_NE(report(wordsThrough(warp, "%other")), "");
  // Halves of a warp.
  std::string half =
      "  %u = and i32 %tid, 16\n  %m = shl i32 65535, %u\n  call void @llvm.nvvm.bar.warp.sync(i32 %m)\n";
  EXPECT_EQ(report(wordsThrough(half, "%near")), "");
  std::string across = "  %c = xor i32 %tid, 16\n";
  EXPECT_TRUE(has(report(wordsThrough(half + across, "%c")), ": data race at 'load i32") ||
              has(report(wordsThrough(half + across, "%c")), "never written"));
  // A shuffle orders nothing.
  std::string shuffle = "  %s = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %x0, i32 1, i32 31)\n";
  EXPECT_TRUE(has(report(wordsThrough(shuffle, "%near")), "data race"));
}

TEST(Fault, NamedBarrierOrdersItsWarpsOnly) {
  // 128 threads; pairs of warps share a barrier.
  auto code = [](const std::string &distance) {
    return "  %mine = getelementptr i32, ptr addrspace(3) @qlr_shared, i32 %tid\n"
           "  store i32 %x0, ptr addrspace(3) %mine\n  %id = lshr i32 %tid, 6\n  %named = add i32 %id, 1\n"
           "  call void @llvm.nvvm.barrier.cta.sync.aligned.count(i32 %named, i32 64)\n"
           "  %o = xor i32 %tid, " +
           distance +
           "\n  %p = getelementptr i32, ptr addrspace(3) @qlr_shared, i32 %o\n"
           "  %y0 = load i32, ptr addrspace(3) %p\n";
  };
  auto run = [&](const std::string &distance) {
    Device device(perThread(1, code(distance), 1));
    std::vector<uint32_t> in = randomWords(128, 31), out(128);
    device.buffer(in, "in", true);
    device.buffer(out, "out");
    return device.run(1, 128, 512);
  };
  EXPECT_EQ(run("32"), "");
  std::string fault = run("64");
  EXPECT_TRUE(has(fault, "data race") || has(fault, "never written")) << fault;
}

TEST(Fault, SharedMemoryNeverWritten) {
  std::string read = "  %y0 = load i32, ptr addrspace(3) @qlr_shared\n";
  EXPECT_TRUE(has(report(read), "kernel k, block 0, thread 0: read of shared memory never written at 'load i32 #1"));
  // One byte of four.
  std::string part = "  store i16 1, ptr addrspace(3) @qlr_shared\n"
                     "  %s = getelementptr i8, ptr addrspace(3) @qlr_shared, i32 2\n"
                     "  store i8 1, ptr addrspace(3) %s\n" +
                     read;
  EXPECT_TRUE(has(report(part, {}, 1), "1 byte at shared byte 3"));
  EXPECT_EQ(report("  store i32 1, ptr addrspace(3) @qlr_shared\n" + read, {}, 1), "");
}

TEST(Fault, OutOfBounds) {
  auto shared = [](int word) {
    return "  %p = getelementptr i32, ptr addrspace(3) @qlr_shared, i32 " + std::to_string(word) +
           "\n  store i32 1, ptr addrspace(3) %p\n  %y0 = load i32, ptr addrspace(3) %p\n";
  };
  EXPECT_EQ(report(shared(63), {}, 1), "");
  EXPECT_TRUE(has(report(shared(64), {}, 1), "write out of bounds at 'store i32 #1"));
  EXPECT_TRUE(has(report(shared(64), {}, 1), "shared byte 256, outside the 256 there are"));
  EXPECT_TRUE(has(report(shared(-1), {}, 1), "shared byte -4, outside"));
  auto global = [](int word) {
    return "  %p = getelementptr i32, ptr addrspace(1) %in, i32 " + std::to_string(word) +
           "\n  %y0 = load i32, ptr addrspace(1) %p\n";
  };
  EXPECT_EQ(report(global(63)), "");
  std::string fault = report(global(64));
  EXPECT_TRUE(has(fault, "read out of bounds at 'load i32 #1"));
  EXPECT_TRUE(has(fault, "0 bytes behind the end of 'in' of 256 bytes"));
}

TEST(Fault, OutOfParameter) {
  // One buffer, of which the parameter may be used for 40 bytes.
  Device device(perThread(1, "  %y0 = add i32 %x0, 1", 1));
  std::vector<uint32_t> in(64), out(64);
  device.buffer(in, "arena", true);
  device.buffer(out, "out");
  const uint64_t enough[] = {256, 0}, few[] = {40, 0};
  EXPECT_EQ(device.run(1, 64, 0, {.extents = enough}), "");
  std::string fault = device.run(1, 64, 0, {.extents = few});
  EXPECT_TRUE(has(fault, "thread 10: read out of bounds at 'load i32 #0"));
  EXPECT_TRUE(has(fault, "which is byte 40 of parameter 0 of 40 bytes"));
}

TEST(Fault, WriteToReadOnlyMemory) {
  EXPECT_TRUE(
      has(report("  store i32 1, ptr addrspace(1) %in\n  %y0 = add i32 0, 0\n"),
          "write to read-only memory at 'store i32 #1 (parameter 0, block %entry)': 4 bytes at byte 0 of 'in'"));
}

TEST(Fault, Misaligned) {
  auto code = [](const std::string &align) {
    return "  %v = load <4 x i32>, ptr addrspace(1) %x0p, align " + align +
           "\n  %y0 = extractelement <4 x i32> %v, i32 0\n";
  };
  Device device(perThread(4, code("16"), 1)), odd(perThread(1, code("16"), 1));
  alignas(16) static uint32_t in[64];
  std::vector<uint32_t> out(16);
  for (Device *one : {&device, &odd}) {
    one->memory.registerBuffer(in, sizeof in, true, "in");
    one->pointers.push_back(in);
    one->buffer(out, "out");
  }
  EXPECT_EQ(device.run(1, 16), "");
  EXPECT_TRUE(has(odd.run(1, 16), "thread 1: misaligned access at 'load <4 x i32>"));
}

TEST(Fault, BarrierDivergence) {
  std::string some = "  %odd = icmp uge i32 %tid, 32\n  br i1 %odd, label %meet, label %end\nmeet:\n" + kBarrier +
                     "  br label %end\nend:\n  %y0 = add i32 %x0, 0\n";
  EXPECT_TRUE(has(report(some), "barrier divergence at 'barrier.cta.sync.aligned.all"));
  EXPECT_TRUE(has(report(some), "exit"));
  std::string part =
      "  %odd = and i32 %tid, 1\n  %o = icmp eq i32 %odd, 0\n  br i1 %o, label %meet, label %end\nmeet:\n" + kBarrier +
      "  br label %end\nend:\n  %y0 = add i32 %x0, 0\n" + kBarrier;
  EXPECT_TRUE(has(report(part), "barrier divergence at"));
  EXPECT_TRUE(has(report(part), "other lanes of the warp have come to"));
  std::string ids = "  %w = lshr i32 %tid, 5\n  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 %w)\n"
                    "  %y0 = add i32 %x0, 0\n";
  EXPECT_TRUE(has(report(ids), "32 of 64 threads came to barrier 0; thread 32 is at"));
  std::string counts = "  %w = lshr i32 %tid, 5\n  %c = shl i32 %w, 5\n  %n = add i32 %c, 32\n"
                       "  %z = xor i32 %n, 96\n  call void @llvm.nvvm.barrier.cta.sync.aligned.count(i32 1, i32 %z)\n"
                       "  %y0 = add i32 %x0, 0\n";
  EXPECT_NE(report(counts), "");
  EXPECT_EQ(report(kBarrier + "  %y0 = add i32 %x0, 0\n"), "");
}

TEST(Fault, MaskOfLanes) {
  auto shuffle = [](const std::string &mask, const std::string &lane = "0") {
    return "  %y0 = call i32 @llvm.nvvm.shfl.sync.idx.i32(i32 " + mask + ", i32 %x0, i32 " + lane + ", i32 31)\n";
  };
  EXPECT_EQ(report(shuffle("-1")), "");
  EXPECT_TRUE(has(report(shuffle("65535")), "thread 16: 'shfl.sync.idx.i32 #1 (block %entry)' with lanes 0x0000ffff is "
                                            "executed by a lane that is not among them"));
  // Half of the warp is elsewhere, but named.
  auto half = [&](const std::string &mask) {
    return "  %u = and i32 %tid, 16\n  %b = icmp eq i32 %u, 0\n  br i1 %b, label %meet, label %end\nmeet:\n" +
           std::string("  %s = call i32 @llvm.nvvm.shfl.sync.idx.i32(i32 ") + mask +
           ", i32 %x0, i32 0, i32 31)\n  br label %end\nend:\n  %y0 = add i32 %x0, 0\n";
  };
  EXPECT_EQ(report(half("65535")), "");
  EXPECT_TRUE(has(report(half("-1")), "waits for lanes that have exited"));
  EXPECT_TRUE(has(report(half("-1") + kBarrier), "deadlock: 'shfl.sync.idx.i32"));
  EXPECT_TRUE(has(report(half("-1") + kBarrier), "is at 'barrier.cta.sync.aligned.all"));
  // A lane that does not take part is read.
  std::string reads = half("65535");
  reads.replace(reads.find("i32 0, i32 31"), 5, "i32 20");
  EXPECT_TRUE(has(report(reads), "reads lane 20, which does not take part"));
}

TEST(Fault, MatrixProductByPartOfAWarp) {
  std::string product =
      "  %r = call {i32, i32, i32, i32} @llvm.nvvm.mma.m16n8k16.row.col.s8(i32 1, i32 1, i32 1, i32 0, "
      "i32 0, i32 0, i32 0)\n";
  EXPECT_EQ(report(product + "  %y0 = add i32 %x0, 0\n"), "");
  EXPECT_TRUE(has(report("  %b = icmp ult i32 %tid, 16\n  br i1 %b, label %meet, label %end\nmeet:\n" + product +
                         "  br label %end\nend:\n  %y0 = add i32 %x0, 0\n"),
                  "waits for lanes that have exited"));
  EXPECT_TRUE(has(report(product + "  %y0 = add i32 %x0, 0\n", {}, 48), "by a warp of fewer lanes"));
}

TEST(Fault, KernelStopsItself) {
  EXPECT_TRUE(has(report("  %b = icmp eq i32 %tid, 40\n  br i1 %b, label %bad, label %end\nbad:\n"
                         "  call void @llvm.trap()\n  unreachable\nend:\n  %y0 = add i32 %x0, 0\n"),
                  "thread 40: the kernel stops itself at 'trap"));
}

TEST(Fault, LibraryGoesOnAfterAFault) {
  Device device(perThread(1, "  %y0 = add i32 %x0, 1", 1));
  std::vector<uint32_t> in = randomWords(64, 33), out(64);
  device.buffer(in, "in", true);
  device.buffer(out, "out");
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(has(device.run(2, 96), "out of bounds"));
    EXPECT_EQ(device.run(1, 64), "");
    EXPECT_EQ(out[63], in[63] + 1);
  }
}

TEST(Fault, LaunchThatCannotBe) {
  Device device(perThread(1, "  %y0 = add i32 %x0, 1", 1));
  EXPECT_TRUE(has(device.run(0, 32), "launch of kernel k: found no blocks"));
  EXPECT_TRUE(has(device.run(1, 1025), "1025 threads a block"));
  EXPECT_TRUE(has(device.run(1, 32, 1 << 20), "bytes of shared memory"));
  std::vector<uint32_t> data(8);
  device.memory.registerBuffer(data.data(), 32, false, "a");
  EXPECT_THROW(device.memory.registerBuffer(&data[4], 4, false, "b"), Error);
  EXPECT_THROW(device.memory.unregisterBuffer(&data[4]), Error);
  EXPECT_THROW(device.library.parameterSizes("other"), Error);
}

} // namespace
