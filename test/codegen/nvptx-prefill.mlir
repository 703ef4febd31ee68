// 128 tokens: tiles are decoded once into shared memory, activations come by asynchronous copies one block ahead.
// RUN: qlr-opt %s --qlr-lower-to-nvptx | FileCheck %s
// CHECK: qlr.shared_bytes = 66560 : i64
// The first block's copies, then a loop over blocks.
// CHECK-COUNT-4: "llvm.nvvm.cp.async.cg.shared.global.16"
// CHECK: "llvm.nvvm.cp.async.commit.group"
// CHECK: scf.for
// CHECK: ld.global.nc.L1::no_allocate.v4.u32
// CHECK: "llvm.nvvm.cp.async.wait.group"
// CHECK: "llvm.nvvm.barrier.cta.sync.aligned.all"
// CHECK: scf.if
// CHECK: "llvm.nvvm.cp.async.commit.group"
// 2 row tiles and 8 token tiles of a warp, 4 steps of 32 columns.
// CHECK-COUNT-64: "llvm.nvvm.mma.m16n8k32.row.col.s8"
// CHECK: "llvm.nvvm.barrier.cta.sync.aligned.all"
!a = !qlr.act<128x1024, block = 128, sums = 128, rotation = 128>
!w = !qlr.weight<512x1024, q = #qlr.trellis<bits = 2>, rotation = 128>
qlr.kernel_def @k(%x: !a, %w: !w) -> tensor<128x512xf32> {
  %s = qlr.stage strips items 4 variant {decode = "lut2", multiply = "imma", strips = 8 : i64, splits = 1 : i64} {
    %y = qlr.matmul %x, %w : !a, !w -> tensor<128x512xf32>
    qlr.yield %y : tensor<128x512xf32>
  } : tensor<128x512xf32>
  qlr.return %s : tensor<128x512xf32>
}
