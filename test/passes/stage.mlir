// RUN: qlr-opt %s --qlr-stage | FileCheck %s

!x = tensor<8x64xf32>
!act = !qlr.act<8x64, block = 128, sums = 128, rotation = 0>
!w = !qlr.weight<64x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>>

// CHECK-LABEL: qlr.kernel_def @block(
// CHECK-SAME: %[[X:.*]]: tensor<8x64xf32>, %[[N:.*]]: tensor<64xf32>, %[[W:.*]]: !qlr.weight
qlr.kernel_def @block(%x: !x, %n: tensor<64xf32>, %w: !w) -> !x {
  // CHECK-NEXT: %[[S:.*]] = qlr.stage tokens items 8 {
  // CHECK-NEXT: %[[S0:.*]] = qlr.rms_stat %[[X]]
  // CHECK-NEXT: qlr.yield %[[S0]]
  // CHECK: %[[A:.*]] = qlr.stage blocks items 8 {
  // CHECK-NEXT: %[[M:.*]] = qlr.norm_apply %[[X]], %[[S]], %[[N]]
  // CHECK-NEXT: %[[A0:.*]] = qlr.rotate %[[M]]
  // CHECK-NEXT: qlr.yield %[[A0]]
  // CHECK: %[[T:.*]] = qlr.stage strips items 1 {
  // CHECK-NEXT: qlr.project %[[A]], %[[W]]
  // CHECK: %[[R:.*]] = qlr.stage strips items 4 {
  // CHECK-NEXT: %[[Y:.*]] = qlr.matmul %[[A]], %[[W]]
  // CHECK-NEXT: %[[E:.*]] = qlr.expand %[[Y]], %[[T]], %[[W]]
  // CHECK-NEXT: %[[R0:.*]] = qlr.add %[[X]], %[[E]]
  // CHECK-NEXT: qlr.yield %[[R0]]
  // CHECK: qlr.return %[[R]]
  %s = qlr.rms_stat %x {eps = 1.0e-6 : f64} : !x -> tensor<8xf32>
  %m = qlr.norm_apply %x, %s, %n : !x, tensor<8xf32>, tensor<64xf32>
  %a = qlr.rotate %m : !x -> !act
  %t = qlr.project %a, %w : !act, !w -> tensor<8x16xf32>
  %y = qlr.matmul %a, %w : !act, !w -> !x
  %e = qlr.expand %y, %t, %w : !x, tensor<8x16xf32>, !w
  %r = qlr.add %x, %e : !x
  qlr.return %r : !x
}
