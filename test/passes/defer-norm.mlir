// RUN: qlr-opt %s --qlr-defer-norm | FileCheck %s

!x = tensor<8x64xf32>
!act = !qlr.act<8x64, block = 128, sums = 128, rotation = 64>
!w = !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>

// CHECK-LABEL: func.func @product
// CHECK-SAME: (%[[X:.*]]: tensor<8x64xf32>, %[[N:.*]]: tensor<64xf32>, %[[W:.*]]: !qlr.weight{{.*}}, %[[B:.*]]: tensor<32xf32>)
func.func @product(%x: !x, %n: tensor<64xf32>, %w: !w, %b: tensor<32xf32>) -> tensor<8x32xf32> {
  // CHECK-NEXT: %[[S:.*]] = qlr.rms_stat %[[X]]
  // CHECK-NEXT: %[[C:.*]] = qlr.scale_columns %[[X]], %[[N]]
  // CHECK-NEXT: %[[A:.*]] = qlr.rotate %[[C]]
  // CHECK-NEXT: %[[T:.*]] = qlr.project %[[A]], %[[W]]
  // CHECK-NEXT: %[[Y:.*]] = qlr.matmul %[[A]], %[[W]]
  // CHECK-NEXT: %[[E:.*]] = qlr.expand %[[Y]], %[[T]], %[[W]]
  // CHECK-NEXT: %[[P:.*]] = qlr.scale_tokens %[[E]], %[[S]]
  // CHECK-NEXT: %[[Z:.*]] = qlr.bias_add %[[P]], %[[B]]
  // CHECK-NEXT: return %[[Z]]
  %s = qlr.rms_stat %x {eps = 1.0e-6 : f64} : !x -> tensor<8xf32>
  %m = qlr.norm_apply %x, %s, %n : !x, tensor<8xf32>, tensor<64xf32>
  %a = qlr.rotate %m : !x -> !act
  %t = qlr.project %a, %w : !act, !w -> tensor<8x16xf32>
  %y = qlr.matmul %a, %w : !act, !w -> tensor<8x32xf32>
  %e = qlr.expand %y, %t, %w : tensor<8x32xf32>, tensor<8x16xf32>, !w
  %z = qlr.bias_add %e, %b : tensor<8x32xf32>, tensor<32xf32>
  return %z : tensor<8x32xf32>
}
