// The ways to decode and to multiply, each with its look-ups and its instruction.
// RUN: sed 's/VARIANT/multiply = "imma"/' %s | qlr-opt --qlr-lower-to-nvptx | FileCheck %s --check-prefix=IMMA
// RUN: sed 's/VARIANT/multiply = "hmma", decode = "lut2"/' %s | qlr-opt --qlr-lower-to-nvptx | FileCheck %s --check-prefix=HMMA
// RUN: sed 's/VARIANT/multiply = "hmma", decode = "lut2x32"/' %s | qlr-opt --qlr-lower-to-nvptx | FileCheck %s --check-prefix=BANKS
// RUN: sed 's/VARIANT/multiply = "dp4a"/; s/strips = 8/strips = 4/; s/items 4/items 8/' %s | qlr-opt --qlr-lower-to-nvptx | FileCheck %s --check-prefix=DP4A
// RUN: sed 's/VARIANT/multiply = "dp4a"/' %s | not qlr-opt --qlr-lower-to-nvptx 2>&1 | FileCheck %s --check-prefix=STRIPS
// RUN: sed 's/VARIANT/multiply = "wgmma"/' %s | not qlr-opt --qlr-lower-to-nvptx 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: sed 's/VARIANT/decode = "lut2x32"/; s/<1x/<128x/g' %s | not qlr-opt --qlr-lower-to-nvptx 2>&1 | FileCheck %s --check-prefix=SHARED
// RUN: sed 's/VARIANT/decode = "alu"/' %s | not qlr-opt --qlr-lower-to-nvptx 2>&1 | FileCheck %s --check-prefix=ALU

// STRIPS: error: 'qlr.stage' op has a variant that does not fit: dp4a takes 4 strips and at most 2 tokens
// UNKNOWN: error: 'qlr.stage' op has no such way to multiply: wgmma
// SHARED: error: 'qlr.kernel_def' op takes {{[0-9]+}} bytes of shared memory a block, sm_86 has 101376: choose a way to decode with smaller tables
// ALU: error: 'qlr.stage' op asks for decoding alu, which trellis2 has not

// 8 tiles of 64 weights a thread and round: 128 look-ups of four weights, 32 products of 16 rows x 32 columns.
// IMMA: qlr.shared_bytes = 37376 : i64
// IMMA-COUNT-32: "llvm.nvvm.mma.m16n8k32.row.col.s8"
// IMMA-NOT: "llvm.nvvm.mma

// Tables of two weights are operands as they are: 512 entries of f16 x 2.
// HMMA: qlr.shared_bytes = 6656 : i64
// HMMA-COUNT-64: "llvm.nvvm.mma.m16n8k16.row.col.f32.f32"
// HMMA-NOT: "llvm.nvvm.mma

// A copy in each of the 32 banks.
// BANKS: qlr.shared_bytes = 70144 : i64
// BANKS-COUNT-64: "llvm.nvvm.mma.m16n8k16.row.col.f32.f32"

// Four strips: a thread has four tiles a round, 16 rows each.
// DP4A: qlr.shared_bytes = 35072 : i64
// DP4A-COUNT-64: "llvm.nvvm.idp4a.s.s"
// DP4A-NOT: "llvm.nvvm.idp4a
!a = !qlr.act<1x1024, block = 128, sums = 128, rotation = 128>
!w = !qlr.weight<512x1024, q = #qlr.trellis<bits = 2>, rotation = 128>
qlr.kernel_def @k(%x: !a, %w: !w) -> tensor<1x512xf32> {
  %s = qlr.stage strips items 4 variant {VARIANT, strips = 8 : i64, splits = 1 : i64} {
    %y = qlr.matmul %x, %w : !a, !w -> tensor<1x512xf32>
    qlr.yield %y : tensor<1x512xf32>
  } : tensor<1x512xf32>
  qlr.return %s : tensor<1x512xf32>
}
