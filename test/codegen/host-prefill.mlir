// Several tokens: every tile is decoded once, into a buffer, before the loop over tokens.
// RUN: qlr-opt %s --qlr-lower-to-host=levels=avx512 | FileCheck %s

// CHECK-LABEL: llvm.func @k_s0_avx512
// CHECK: pmultishift
// CHECK: llvm.store {{.*}} : vector<64xi8>
// CHECK: vpdpbusd
// CHECK-NOT: pmultishift
qlr.kernel_def @k(%x: !qlr.act<8x128, block = 128, sums = 128, rotation = 128>, %w: !qlr.weight<32x128, q = #qlr.int<bits = 2>, rotation = 128>) -> tensor<8x32xf32> {
  %0 = qlr.stage strips items 1 variant {strips = 2 : i64, tokens = 4 : i64} {
    %1 = qlr.matmul %x, %w : !qlr.act<8x128, block = 128, sums = 128, rotation = 128>, !qlr.weight<32x128, q = #qlr.int<bits = 2>, rotation = 128> -> tensor<8x32xf32>
    qlr.yield %1 : tensor<8x32xf32>
  } : tensor<8x32xf32>
  qlr.return %0 : tensor<8x32xf32>
}
