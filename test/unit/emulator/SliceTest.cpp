// Whole kernels: registers, shared memory, barrier, shuffle, mma, in any order of blocks.
#include "test/unit/emulator/EmulatorFixture.h"

#include <numeric>

using namespace qlr;
using namespace qlr::test;

namespace {

/// out[block] = sum of in[block * ntid + tid], by a tree of shuffles and one step through shared memory.
const char *const kReduction = R"(
define ptx_kernel void @reduce(ptr addrspace(1) %in, ptr addrspace(1) %out) {
entry:
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %ntid = call i32 @llvm.nvvm.read.ptx.sreg.ntid.x()
  %block = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  %lane = call i32 @llvm.nvvm.read.ptx.sreg.laneid()
  %first = mul i32 %block, %ntid
  %index = add i32 %first, %tid
  %at = getelementptr float, ptr addrspace(1) %in, i32 %index
  %x = load float, ptr addrspace(1) %at, align 4
  br label %tree
tree:
  %offset = phi i32 [ 16, %entry ], [ %half, %tree ]
  %sum = phi float [ %x, %entry ], [ %more, %tree ]
  %other = call float @llvm.nvvm.shfl.sync.bfly.f32(i32 -1, float %sum, i32 %offset, i32 31)
  %more = fadd float %sum, %other
  %half = lshr i32 %offset, 1
  %done = icmp eq i32 %half, 0
  br i1 %done, label %warp, label %tree
warp:
  %w = lshr i32 %tid, 5
  %slot = getelementptr float, ptr addrspace(3) @qlr_shared, i32 %w
  %leads = icmp eq i32 %lane, 0
  br i1 %leads, label %put, label %meet
put:
  store float %more, ptr addrspace(3) %slot, align 4
  br label %meet
meet:
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %zero = icmp eq i32 %tid, 0
  br i1 %zero, label %last, label %end
last:
  %i = phi i32 [ 0, %meet ], [ %next, %last ]
  %total = phi float [ 0.0, %meet ], [ %added, %last ]
  %from = getelementptr float, ptr addrspace(3) @qlr_shared, i32 %i
  %part = load float, ptr addrspace(3) %from, align 4
  %added = fadd float %total, %part
  %next = add i32 %i, 1
  %bytes = shl i32 %next, 5
  %all = icmp eq i32 %bytes, %ntid
  br i1 %all, label %store, label %last
store:
  %to = getelementptr float, ptr addrspace(1) %out, i32 %block
  store float %added, ptr addrspace(1) %to, align 4
  br label %end
end:
  ret void
}
)";

TEST(Slice, ReductionInAnyOrder) {
  for (bool instrument : {true, false}) {
    Device device(kReduction, instrument);
    std::vector<float> in(128 * 20), out(20);
    std::iota(in.begin(), in.end(), 1.0f);
    device.buffer(in, "in", true);
    device.buffer(out, "out");
    for (uint64_t seed : {0, 1, 2, 3})
      for (unsigned hostThreads : {1u, 2u}) {
        std::fill(out.begin(), out.end(), -1.0f);
        EXPECT_EQ(device.run(20, 128, 64, {.seed = seed, .hostThreads = hostThreads}), "");
        for (int block = 0; block < 20; ++block)
          EXPECT_EQ(out[block], 128.0f * 128 * block + 128 * 129 / 2) << "block " << block;
      }
    EXPECT_EQ(device.counts.collectives, 20u * (4 * 5 + 1));
    EXPECT_EQ(device.counts.accesses, instrument ? 20u * (128 + 4 + 4 + 1) : 0u);
  }
}

/// One warp: D = A B + C with A [16, 32] s8 row-major, B [8, 32] s8 column-major, fragments loaded by each lane.
const char *const kMma = R"(
define ptx_kernel void @mma(ptr addrspace(1) %a, ptr addrspace(1) %b, ptr addrspace(1) %d) {
  %lane = call i32 @llvm.nvvm.read.ptx.sreg.laneid()
  %g = lshr i32 %lane, 2
  %t = and i32 %lane, 3
  %row = shl i32 %g, 3
  %w0 = add i32 %row, %t
  %w1 = add i32 %w0, 64
  %w2 = add i32 %w0, 4
  %w3 = add i32 %w0, 68
  %p0 = getelementptr i32, ptr addrspace(1) %a, i32 %w0
  %p1 = getelementptr i32, ptr addrspace(1) %a, i32 %w1
  %p2 = getelementptr i32, ptr addrspace(1) %a, i32 %w2
  %p3 = getelementptr i32, ptr addrspace(1) %a, i32 %w3
  %a0 = load i32, ptr addrspace(1) %p0
  %a1 = load i32, ptr addrspace(1) %p1
  %a2 = load i32, ptr addrspace(1) %p2
  %a3 = load i32, ptr addrspace(1) %p3
  %q0 = getelementptr i32, ptr addrspace(1) %b, i32 %w0
  %q1 = getelementptr i32, ptr addrspace(1) %b, i32 %w2
  %b0 = load i32, ptr addrspace(1) %q0
  %b1 = load i32, ptr addrspace(1) %q1
  %r = call {i32, i32, i32, i32} @llvm.nvvm.mma.m16n8k32.row.col.s8(i32 %a0, i32 %a1, i32 %a2, i32 %a3, i32 %b0, i32 %b1, i32 1, i32 2, i32 3, i32 4)
  %d0 = extractvalue {i32, i32, i32, i32} %r, 0
  %d1 = extractvalue {i32, i32, i32, i32} %r, 1
  %d2 = extractvalue {i32, i32, i32, i32} %r, 2
  %d3 = extractvalue {i32, i32, i32, i32} %r, 3
  %t2 = shl i32 %t, 1
  %c0 = add i32 %row, %t2
  %c2 = add i32 %c0, 64
  %o0 = getelementptr i32, ptr addrspace(1) %d, i32 %c0
  %o2 = getelementptr i32, ptr addrspace(1) %d, i32 %c2
  %o1 = getelementptr i32, ptr addrspace(1) %o0, i32 1
  %o3 = getelementptr i32, ptr addrspace(1) %o2, i32 1
  store i32 %d0, ptr addrspace(1) %o0
  store i32 %d1, ptr addrspace(1) %o1
  store i32 %d2, ptr addrspace(1) %o2
  store i32 %d3, ptr addrspace(1) %o3
  ret void
}
)";

TEST(Slice, IntegerMma) {
  Device device(kMma);
  std::mt19937 random(7);
  std::vector<int8_t> a(16 * 32), b(8 * 32);
  for (int8_t &x : a)
    x = static_cast<int8_t>(random());
  for (int8_t &x : b)
    x = static_cast<int8_t>(random());
  std::vector<int32_t> d(16 * 8);
  device.buffer(a, "a", true);
  device.buffer(b, "b", true);
  device.buffer(d, "d");
  EXPECT_EQ(device.run(1, 32), "");
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 8; ++n) {
      int expected = (m >= 8 ? 3 : 1) + n % 2;
      for (int k = 0; k < 32; ++k)
        expected += a[m * 32 + k] * b[n * 32 + k];
      EXPECT_EQ(d[m * 8 + n], expected) << m << ", " << n;
    }
}

} // namespace
