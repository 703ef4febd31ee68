// The kernels that come of a deferred norm. The statistic goes into the kernel whose product it scales, and not into
// the one that makes x; only the product waits for it.
// RUN: qlr-opt %s --qlr-defer-norm --qlr-form-kernels --qlr-share-kernels --qlr-stage | FileCheck %s

!x = tensor<8x64xf32>
!act = !qlr.act<8x64, block = 128, sums = 128, rotation = 0>
!o = !qlr.weight<64x64, q = #qlr.float<bf16>>
!w = !qlr.weight<32x64, q = #qlr.int<bits = 2>>

// CHECK-LABEL: qlr.kernel_def
// CHECK-NOT: qlr.rms_stat
// CHECK: qlr.matmul
// CHECK-NEXT: qlr.add
// CHECK-NOT: qlr.rms_stat
// CHECK-LABEL: qlr.kernel_def
// CHECK-SAME: (%[[X:.*]]: tensor<8x64xf32>, %[[N:.*]]: tensor<64xf32>, %[[W:.*]]: !qlr.weight{{.*}}, %[[B:.*]]: tensor<32xf32>)
// CHECK-NEXT: %[[S:.*]] = qlr.stage tokens items 8 {
// CHECK-NEXT: qlr.rms_stat %[[X]]
// CHECK: %[[A:.*]] = qlr.stage blocks items 8 {
// CHECK-NEXT: %[[C:.*]] = qlr.scale_columns %[[X]], %[[N]]
// CHECK-NEXT: %[[R:.*]] = qlr.rotate %[[C]]
// CHECK-NEXT: qlr.yield %[[R]]
// CHECK: qlr.stage strips items 2 {
// CHECK-NEXT: %[[Y:.*]] = qlr.matmul %[[A]], %[[W]]
// CHECK-NEXT: %[[P:.*]] = qlr.scale_tokens %[[Y]], %[[S]]
// CHECK-NEXT: %[[Z:.*]] = qlr.bias_add %[[P]], %[[B]]
// CHECK-NEXT: qlr.yield %[[Z]]
// CHECK-NOT: qlr.kernel_def
func.func @layer(%x: !x, %o: !o, %n: tensor<64xf32>, %w: !w, %b: tensor<32xf32>) -> (tensor<8x32xf32>, !x) {
  %h = qlr.matmul %x, %o : !x, !o -> !x
  %r = qlr.add %x, %h : !x
  %s = qlr.rms_stat %r {eps = 1.0e-6 : f64} : !x -> tensor<8xf32>
  %m = qlr.norm_apply %r, %s, %n : !x, tensor<8xf32>, tensor<64xf32>
  %a = qlr.rotate %m : !x -> !act
  %y = qlr.matmul %a, %w : !act, !w -> tensor<8x32xf32>
  %z = qlr.bias_add %y, %b : tensor<8x32xf32>, tensor<32xf32>
  return %z, %r : tensor<8x32xf32>, !x
}
