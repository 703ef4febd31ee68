// RUN: qlr-opt %s --qlr-decompose | FileCheck %s

!act = !qlr.act<8x64, block = 128, sums = 128, rotation = 64>
!plain = !qlr.weight<32x64, q = #qlr.int<bits = 2>, rotation = 64>
!ranked = !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>

// CHECK-LABEL: func.func @linear
// CHECK-SAME: (%[[X:.*]]: !qlr.act{{.*}}, %[[W:.*]]: !qlr.weight
func.func @linear(%x: !act, %w: !plain) -> tensor<8x32xf32> {
  // CHECK-NEXT: %[[Y:.*]] = qlr.matmul %[[X]], %[[W]]
  // CHECK-NEXT: return %[[Y]]
  %y = qlr.linear %x, %w : !act, !plain -> tensor<8x32xf32>
  return %y : tensor<8x32xf32>
}

// CHECK-LABEL: func.func @low_rank_and_bias
// CHECK-SAME: (%[[X:.*]]: !qlr.act{{.*}}, %[[W:.*]]: !qlr.weight{{.*}}, %[[B:.*]]: tensor<32xf32>)
func.func @low_rank_and_bias(%x: !act, %w: !ranked, %b: tensor<32xf32>) -> tensor<8x32xf32> {
  // CHECK-NEXT: %[[T:.*]] = qlr.project %[[X]], %[[W]] {{.*}} -> tensor<8x16xf32>
  // CHECK-NEXT: %[[Q:.*]] = qlr.matmul %[[X]], %[[W]]
  // CHECK-NEXT: %[[E:.*]] = qlr.expand %[[Q]], %[[T]], %[[W]]
  // CHECK-NEXT: %[[Y:.*]] = qlr.bias_add %[[E]], %[[B]]
  // CHECK-NEXT: return %[[Y]]
  %y = qlr.linear %x, %w, %b : !act, !ranked, tensor<32xf32> -> tensor<8x32xf32>
  return %y : tensor<8x32xf32>
}

// CHECK-LABEL: func.func @norm
// CHECK-SAME: (%[[X:.*]]: tensor<8x64xf32>, %[[W:.*]]: tensor<64xf32>)
func.func @norm(%x: tensor<8x64xf32>, %w: tensor<64xf32>) -> tensor<8x64xf32> {
  // CHECK-NEXT: %[[S:.*]] = qlr.rms_stat %[[X]] {eps = {{.*}}} : tensor<8x64xf32> -> tensor<8xf32>
  // CHECK-NEXT: %[[N:.*]] = qlr.norm_apply %[[X]], %[[S]], %[[W]]
  // CHECK-NEXT: return %[[N]]
  %n = qlr.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<8x64xf32>, tensor<64xf32>
  return %n : tensor<8x64xf32>
}
