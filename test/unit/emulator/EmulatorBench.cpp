// How fast the emulator is: small kernels of one loop each, compiled with and without instrumentation, on one host
// thread. Prints a table; docs/results/emulator.md holds one.
//   ninja -C build/release emulator-bench && build/release/test/emulator-bench
#include "test/unit/emulator/EmulatorFixture.h"

#include <cstdio>
#include <ctime>

using namespace qlr;
using namespace qlr::test;

namespace {

constexpr uint32_t blocks = 4, threads = 256, trips = 1000;

struct Bench {
  const char *name;
  std::string loop;        // defines %next of type i32 from %sum and %i
  uint32_t warpOperations; // collectives in the loop
};

/// Instructions of the loop as they stand in the device IR, its counter, test and branch included.
uint32_t instructions(const Bench &bench) {
  return static_cast<uint32_t>(std::count(bench.loop.begin(), bench.loop.end(), '\n')) + 5;
}

std::string kernel(const Bench &bench) {
  return R"(
define ptx_kernel void @k(ptr addrspace(1) %w, ptr addrspace(1) %out) {
entry:
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %block = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %mine = getelementptr <4 x i32>, ptr addrspace(3) @qlr_shared, i32 %tid
  store <4 x i32> <i32 1, i32 2, i32 3, i32 4>, ptr addrspace(3) %mine, align 16
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  br label %loop
loop:
  %i = phi i32 [ 0, %entry ], [ %j, %loop ]
  %sum = phi i32 [ %tid, %entry ], [ %next, %loop ]
)" + bench.loop +
         "  %j = add i32 %i, 1\n  %done = icmp eq i32 %j, " + std::to_string(trips) + R"(
  br i1 %done, label %end, label %loop
end:
  %start = shl i32 %block, 8
  %at = add i32 %start, %tid
  %to = getelementptr i32, ptr addrspace(1) %out, i32 %at
  store i32 %next, ptr addrspace(1) %to
  ret void
}
)";
}

const Bench kBenches[] = {
    {"arithmetic (no memory, no collective)",
     "  %a = mul i32 %sum, 1664525\n  %b = add i32 %a, 1013904223\n  %c = lshr i32 %b, 7\n  %d = xor i32 %b, %c\n"
     "  %next = add i32 %d, %i\n",
     0},
    {"int8 GEMV: 16 B of weights, 16 B of shared memory, 4 dp4a",
     "  %s = shl i32 %i, 8\n  %x = add i32 %s, %tid\n  %p = getelementptr <4 x i32>, ptr addrspace(1) %w, i32 %x\n"
     "  %v = load <4 x i32>, ptr addrspace(1) %p, align 16\n  %k = and i32 %i, 255\n"
     "  %q = getelementptr <4 x i32>, ptr addrspace(3) @qlr_shared, i32 %k\n"
     "  %u = load <4 x i32>, ptr addrspace(3) %q, align 16\n"
     "  %v0 = extractelement <4 x i32> %v, i32 0\n  %u0 = extractelement <4 x i32> %u, i32 0\n"
     "  %v1 = extractelement <4 x i32> %v, i32 1\n  %u1 = extractelement <4 x i32> %u, i32 1\n"
     "  %v2 = extractelement <4 x i32> %v, i32 2\n  %u2 = extractelement <4 x i32> %u, i32 2\n"
     "  %v3 = extractelement <4 x i32> %v, i32 3\n  %u3 = extractelement <4 x i32> %u, i32 3\n"
     "  %d0 = call i32 @llvm.nvvm.idp4a.s.s(i32 %v0, i32 %u0, i32 %sum)\n"
     "  %d1 = call i32 @llvm.nvvm.idp4a.s.s(i32 %v1, i32 %u1, i32 %d0)\n"
     "  %d2 = call i32 @llvm.nvvm.idp4a.s.s(i32 %v2, i32 %u2, i32 %d1)\n"
     "  %next = call i32 @llvm.nvvm.idp4a.s.s(i32 %v3, i32 %u3, i32 %d2)\n",
     0},
    {"4 B loads of global memory (writable)",
     "  %k = and i32 %i, 255\n  %p = getelementptr i32, ptr addrspace(1) %out, i32 %k\n"
     "  %x = add i32 %sum, %k\n  %q = getelementptr i32, ptr addrspace(1) %p, i32 1024\n"
     "  %v = load i32, ptr addrspace(1) %q\n  %next = add i32 %x, %v\n",
     0},
    {"shuffle and add",
     "  %o = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %sum, i32 1, i32 31)\n"
     "  %next = add i32 %sum, %o\n",
     1},
    {"barrier of 256 threads",
     "  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)\n  %next = add i32 %sum, %i\n", 0},
    {"mma m16n8k32 s8",
     "  %r = call {i32, i32, i32, i32} @llvm.nvvm.mma.m16n8k32.row.col.s8(i32 %i, i32 %tid, i32 %i, i32 %tid, i32 %i, "
     "i32 %tid, i32 %sum, i32 0, i32 0, i32 0)\n  %next = extractvalue {i32, i32, i32, i32} %r, 0\n",
     1},
    {"mma m16n8k16 bf16",
     "  %f = bitcast i32 %tid to float\n  %r = call {float, float, float, float} "
     "@llvm.nvvm.mma.m16n8k16.row.col.bf16(i32 1065369472, i32 1065369472, i32 1065369472, i32 1065369472, i32 "
     "1065369472, i32 1065369472, float %f, float 0.0, "
     "float 0.0, float 0.0)\n  %g = extractvalue {float, float, float, float} %r, 0\n  %next = bitcast float %g to "
     "i32\n",
     1},
};

/// CPU time of this one thread, so that other work on the machine shows less.
double seconds(Device &device, bool checks) {
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    std::clock_t begin = std::clock();
    std::string fault = device.run(blocks, threads, threads * 16, {.checks = checks});
    best = std::min(best, double(std::clock() - begin) / CLOCKS_PER_SEC);
    if (!fault.empty()) {
      std::fprintf(stderr, "%s\n", fault.c_str());
      std::exit(1);
    }
  }
  return best;
}

} // namespace

/// An argument chooses the loops whose name contains it.
int main(int count, char **arguments) {
  std::printf("| loop | instructions | uninstrumented | instrumented, checks off | checked |\n|---|---|---|---|---|\n");
  for (const Bench &bench : kBenches) {
    if (count > 1 && !std::strstr(bench.name, arguments[1]))
      continue;
    std::vector<uint32_t> weights(size_t(trips) * threads * 4), out(4096);
    double total = double(blocks) * threads * trips * instructions(bench);
    std::printf("| %s | %u |", bench.name, instructions(bench));
    for (int mode = 0; mode < 3; ++mode) {
      Device device(kernel(bench), mode > 0);
      device.buffer(weights, "weights", true);
      device.buffer(out, "out");
      double time = seconds(device, mode == 2);
      std::printf(" %.0f M/s", total / time * 1e-6);
      if (bench.warpOperations)
        std::printf(", %.2f us each", time / (double(blocks) * threads / 32 * trips) * 1e6);
      std::printf(" |");
    }
    std::printf("\n");
  }
}
