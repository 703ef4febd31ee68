// Folders.
// RUN: qlr-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: func.func @slice_of_everything
// CHECK-SAME: (%[[X:.*]]: tensor
func.func @slice_of_everything(%x: tensor<8x64xf32>) -> tensor<8x64xf32> {
  // CHECK-NEXT: return %[[X]]
  %s = qlr.slice %x {offset = 0 : i64} : tensor<8x64xf32> -> tensor<8x64xf32>
  return %s : tensor<8x64xf32>
}

// CHECK-LABEL: func.func @slice_of_slice
// CHECK-SAME: (%[[X:.*]]: tensor
func.func @slice_of_slice(%x: tensor<8x64xf32>) -> tensor<8x16xf32> {
  // CHECK-NEXT: qlr.slice %[[X]] {offset = 40 : i64} : tensor<8x64xf32> -> tensor<8x16xf32>
  // CHECK-NEXT: return
  %a = qlr.slice %x {offset = 32 : i64} : tensor<8x64xf32> -> tensor<8x32xf32>
  %b = qlr.slice %a {offset = 8 : i64} : tensor<8x32xf32> -> tensor<8x16xf32>
  return %b : tensor<8x16xf32>
}

// CHECK-LABEL: func.func @last_of_one
// CHECK-SAME: (%[[X:.*]]: tensor
func.func @last_of_one(%x: tensor<1x64xf32>) -> tensor<1x64xf32> {
  // CHECK-NEXT: return %[[X]]
  %l = qlr.last_token %x : tensor<1x64xf32> -> tensor<1x64xf32>
  return %l : tensor<1x64xf32>
}

// Unused values of pure ops, kernels of them included, disappear.
// CHECK-LABEL: func.func @unused
func.func @unused(%x: tensor<1x64xf32>) {
  // CHECK-NEXT: return
  %0 = qlr.add %x, %x : tensor<1x64xf32>
  %1 = qlr.kernel(%0) {
  ^bb0(%a: tensor<1x64xf32>):
    %s = qlr.add %a, %a : tensor<1x64xf32>
    qlr.yield %s : tensor<1x64xf32>
  } : (tensor<1x64xf32>) -> tensor<1x64xf32>
  return
}

// CHECK-LABEL: func.func @unused_operands
// CHECK-SAME: (%[[X:.*]]: tensor<1x64xf32>, %[[Y:.*]]: tensor
func.func @unused_operands(%x: tensor<1x64xf32>, %y: tensor<1x64xf32>) -> tensor<1x64xf32> {
  // CHECK-NEXT: %[[K:.*]] = qlr.kernel(%[[X]]) {
  // CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<1x64xf32>):
  // CHECK-NEXT: %[[S:.*]] = qlr.add %[[A]], %[[A]]
  // CHECK-NEXT: qlr.yield %[[S]]
  // CHECK-NEXT: {source = "w"} : (tensor<1x64xf32>) -> tensor<1x64xf32>
  // CHECK-NEXT: return %[[K]]
  %0:2 = qlr.kernel(%x, %y, %x) {
  ^bb0(%a: tensor<1x64xf32>, %b: tensor<1x64xf32>, %c: tensor<1x64xf32>):
    %s = qlr.add %a, %c : tensor<1x64xf32>
    %t = qlr.swiglu %a, %b : tensor<1x64xf32>
    qlr.yield %t, %s : tensor<1x64xf32>, tensor<1x64xf32>
  } {source = "w"} : (tensor<1x64xf32>, tensor<1x64xf32>, tensor<1x64xf32>) -> (tensor<1x64xf32>, tensor<1x64xf32>)
  return %0#1 : tensor<1x64xf32>
}
