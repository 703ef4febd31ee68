// One token meets trellis tiles: four instructions a tile on AVX-512, look-ups by halves on AVX2.
// RUN: qlr-opt %s --qlr-lower-to-host=levels=avx512 | FileCheck %s --check-prefix=WIDE
// RUN: qlr-opt %s --qlr-lower-to-host=levels=avx2 | FileCheck %s --check-prefix=NARROW
// RUN: qlr-opt %s --qlr-lower-to-host --qlr-host-to-llvm | FileCheck %s --check-prefix=LLVM

// WIDE-LABEL: llvm.func @k_s0_avx512(%arg0: !llvm.ptr, %arg1: i64, %arg2: i64)
// WIDE-SAME: target_cpu = "x86-64-v4"
// WIDE-SAME: "+avx512vbmi", "+avx512vnni"
// WIDE: scf.for
// WIDE: scf.for
// WIDE: llvm.intr.prefetch
// WIDE: [[CHUNK:%.*]] = llvm.load {{.*}} -> vector<64xi8>
// WIDE: [[SPREAD:%.*]] = vector.shuffle [[CHUNK]], [[CHUNK]] [15, 0, 1, 2, 3, 4, 5, 6, 1, 2
// WIDE: [[WINDOWS:%.*]] = llvm.call_intrinsic "llvm.x86.avx512.pmultishift.qb.512"({{.*}}, [[SPREAD]])
// WIDE: llvm.call_intrinsic "llvm.x86.avx512.vpermi2var.qi.512"({{.*}}, [[WINDOWS]], {{.*}})
// WIDE: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"
// The row scales, once a strip.
// WIDE: arith.extf {{.*}} : vector<16xf16> to vector<16xf32>
// WIDE-NOT: qlr.

// NARROW-LABEL: llvm.func @k_s0_avx2
// NARROW-SAME: target_cpu = "x86-64-v3"
// An odd table needs half the look-ups, for each half of a tile; which it is shows when the kernel begins.
// NARROW: [[ODD:%.*]] = arith.cmpi eq
// NARROW: scf.if [[ODD]] -> (vector<64xi8>)
// NARROW-COUNT-8: llvm.call_intrinsic "llvm.x86.avx2.pshuf.b"
// NARROW-NOT: llvm.x86.avx2.pshuf.b
// NARROW: } else {
// NARROW-COUNT-16: llvm.call_intrinsic "llvm.x86.avx2.pshuf.b"
// NARROW-NOT: llvm.x86.avx2.pshuf.b
// NARROW: }
// NARROW: llvm.call_intrinsic "llvm.x86.avx2.psign.b"
// NARROW: llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"

// LLVM-DAG: llvm.func @k_s0_avx2
// LLVM-DAG: llvm.func @k_s0_avx512
// LLVM-NOT: {{scf|vector|arith|math|unrealized}}.
qlr.kernel_def @k(%x: !qlr.act<1x256, block = 128, sums = 128, rotation = 128>, %w: !qlr.weight<64x256, q = #qlr.trellis<bits = 2>, rotation = 128>) -> tensor<1x64xf32> {
  %0 = qlr.stage strips items 4 variant {strips = 1 : i64, accumulators = 4 : i64} {
    %1 = qlr.matmul %x, %w : !qlr.act<1x256, block = 128, sums = 128, rotation = 128>, !qlr.weight<64x256, q = #qlr.trellis<bits = 2>, rotation = 128> -> tensor<1x64xf32>
    qlr.yield %1 : tensor<1x64xf32>
  } : tensor<1x64xf32>
  qlr.return %0 : tensor<1x64xf32>
}
