// What the norm's readers decide: several products, products of floats, and readers that need the norm itself.
// RUN: qlr-opt %s --qlr-defer-norm --split-input-file | FileCheck %s

!x = tensor<8x64xf32>
!act = !qlr.act<8x64, block = 128, sums = 128, rotation = 0>
!w = !qlr.weight<32x64, q = #qlr.int<bits = 2>>

// CHECK-LABEL: func.func @siblings
// CHECK: qlr.scale_columns
// CHECK-COUNT-2: qlr.scale_tokens
// CHECK-NOT: qlr.norm_apply
func.func @siblings(%x: !x, %n: tensor<64xf32>, %v: !w, %w: !w) -> (tensor<8x32xf32>, tensor<8x32xf32>) {
  %s = qlr.rms_stat %x {eps = 1.0e-6 : f64} : !x -> tensor<8xf32>
  %m = qlr.norm_apply %x, %s, %n : !x, tensor<8xf32>, tensor<64xf32>
  %a = qlr.rotate %m : !x -> !act
  %y = qlr.matmul %a, %v : !act, !w -> tensor<8x32xf32>
  %z = qlr.matmul %a, %w : !act, !w -> tensor<8x32xf32>
  return %y, %z : tensor<8x32xf32>, tensor<8x32xf32>
}

// -----
!x = tensor<8x64xf32>
!f = !qlr.weight<32x64, q = #qlr.float<bf16>>

// CHECK-LABEL: func.func @floats
// CHECK: %[[C:.*]] = qlr.scale_columns
// CHECK-NEXT: %[[Y:.*]] = qlr.matmul %[[C]]
// CHECK-NEXT: %[[Z:.*]] = qlr.scale_tokens %[[Y]]
// CHECK-NEXT: return %[[Z]]
func.func @floats(%x: !x, %n: tensor<64xf32>, %w: !f) -> tensor<8x32xf32> {
  %s = qlr.rms_stat %x {eps = 1.0e-6 : f64} : !x -> tensor<8xf32>
  %m = qlr.norm_apply %x, %s, %n : !x, tensor<8xf32>, tensor<64xf32>
  %y = qlr.matmul %m, %w : !x, !f -> tensor<8x32xf32>
  return %y : tensor<8x32xf32>
}

// -----
!x = tensor<8x64xf32>
!f = !qlr.weight<32x64, q = #qlr.float<bf16>>

// The norm itself is a result.
// CHECK-LABEL: func.func @returned
// CHECK-NOT: qlr.scale_
// CHECK: qlr.norm_apply
// CHECK-NOT: qlr.scale_
func.func @returned(%x: !x, %n: tensor<64xf32>, %w: !f) -> (!x, tensor<8x32xf32>) {
  %s = qlr.rms_stat %x {eps = 1.0e-6 : f64} : !x -> tensor<8xf32>
  %m = qlr.norm_apply %x, %s, %n : !x, tensor<8xf32>, tensor<64xf32>
  %y = qlr.matmul %m, %w : !x, !f -> tensor<8x32xf32>
  return %m, %y : !x, tensor<8x32xf32>
}

// -----
!act = !qlr.act<8x64, block = 128, sums = 128, rotation = 0>
!x = tensor<8x64xf32>
!w = !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>>

// The branch of the product is computed from something else.
// CHECK-LABEL: func.func @foreign_branch
// CHECK-NOT: qlr.scale_
// CHECK: qlr.norm_apply
// CHECK-NOT: qlr.scale_
func.func @foreign_branch(%x: !x, %n: tensor<64xf32>, %w: !w, %t: tensor<8x16xf32>) -> tensor<8x32xf32> {
  %s = qlr.rms_stat %x {eps = 1.0e-6 : f64} : !x -> tensor<8xf32>
  %m = qlr.norm_apply %x, %s, %n : !x, tensor<8xf32>, tensor<64xf32>
  %a = qlr.rotate %m : !x -> !act
  %y = qlr.matmul %a, %w : !act, !w -> tensor<8x32xf32>
  %e = qlr.expand %y, %t, %w : tensor<8x32xf32>, tensor<8x16xf32>, !w
  return %e : tensor<8x32xf32>
}

// -----
!act = !qlr.act<8x64, block = 128, sums = 128, rotation = 0>
!x = tensor<8x64xf32>
!w = !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>>

// The projection is read by more than its product's expansion.
// CHECK-LABEL: func.func @projection_returned
// CHECK-NOT: qlr.scale_
// CHECK: qlr.norm_apply
// CHECK-NOT: qlr.scale_
func.func @projection_returned(%x: !x, %n: tensor<64xf32>, %w: !w) -> (tensor<8x32xf32>, tensor<8x16xf32>) {
  %s = qlr.rms_stat %x {eps = 1.0e-6 : f64} : !x -> tensor<8xf32>
  %m = qlr.norm_apply %x, %s, %n : !x, tensor<8xf32>, tensor<64xf32>
  %a = qlr.rotate %m : !x -> !act
  %t = qlr.project %a, %w : !act, !w -> tensor<8x16xf32>
  %y = qlr.matmul %a, %w : !act, !w -> tensor<8x32xf32>
  %e = qlr.expand %y, %t, %w : tensor<8x32xf32>, tensor<8x16xf32>, !w
  return %e, %t : tensor<8x32xf32>, tensor<8x16xf32>
}
