// RUN: qlr-opt %s --qlr-form-kernels | FileCheck %s

!x = tensor<8x64xf32>
!act = !qlr.act<8x64, block = 128, sums = 128, rotation = 0>
!w = !qlr.weight<64x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>>

qlr.weight_decl @o_proj : !w {parts = ["o_proj"]}

// Norm, rotation, low-rank branch and residual are one kernel.
// CHECK-LABEL: func.func @block
// CHECK-SAME: (%[[X:.*]]: tensor<8x64xf32>, %[[N:.*]]: tensor<64xf32>)
func.func @block(%x: !x, %n: tensor<64xf32>) -> !x {
  // CHECK: %[[W:.*]] = qlr.weight_ref @o_proj
  // CHECK-NEXT: %[[K:.*]] = qlr.kernel(%[[X]], %[[N]], %[[W]]) {
  // CHECK-NEXT: ^bb0(%[[XI:.*]]: tensor<8x64xf32>, %[[NI:.*]]: tensor<64xf32>, %[[WI:.*]]: !qlr.weight
  // CHECK-NEXT: qlr.rms_stat %[[XI]]
  // CHECK-NEXT: qlr.norm_apply
  // CHECK-NEXT: qlr.rotate
  // CHECK-NEXT: qlr.project
  // CHECK-NEXT: qlr.matmul
  // CHECK-NEXT: qlr.expand
  // CHECK-NEXT: %[[R:.*]] = qlr.add %[[XI]]
  // CHECK-NEXT: qlr.yield %[[R]]
  // CHECK-NEXT: {source = "o_proj"}
  // CHECK-NEXT: return %[[K]]
  %w = qlr.weight_ref @o_proj : !w
  %s = qlr.rms_stat %x {eps = 1.0e-6 : f64} : !x -> tensor<8xf32>
  %m = qlr.norm_apply %x, %s, %n : !x, tensor<8xf32>, tensor<64xf32>
  %a = qlr.rotate %m : !x -> !act
  %t = qlr.project %a, %w : !act, !w -> tensor<8x16xf32>
  %y = qlr.matmul %a, %w : !act, !w -> !x
  %e = qlr.expand %y, %t, %w : !x, tensor<8x16xf32>, !w
  %r = qlr.add %x, %e : !x
  return %r : !x
}
