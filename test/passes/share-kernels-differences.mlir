// What keeps kernels apart: operand order, attributes, types.
// RUN: qlr-opt %s --qlr-share-kernels | FileCheck %s

!x = tensor<1x64xf32>

// CHECK-LABEL: func.func @f
func.func @f(%x: !x, %y: !x, %p: tensor<i32>, %z: tensor<8x64xf32>) {
  // CHECK: qlr.launch @[[A:.*]](%
  // CHECK-NOT: qlr.launch @[[A]](
  // CHECK: qlr.launch @[[B:.*]](%
  // CHECK: qlr.launch @[[C:.*]](%
  // CHECK: qlr.launch @[[D:.*]](%
  // CHECK: qlr.launch @[[E:.*]](%
  // CHECK: return
  %0 = qlr.kernel(%x, %y) {
  ^bb0(%a: !x, %b: !x):
    %s = qlr.swiglu %a, %b : !x
    qlr.yield %s : !x
  } : (!x, !x) -> !x
  %1 = qlr.kernel(%x, %y) {
  ^bb0(%a: !x, %b: !x):
    %s = qlr.swiglu %b, %a : !x
    qlr.yield %s : !x
  } : (!x, !x) -> !x
  %2 = qlr.kernel(%x, %p) {
  ^bb0(%a: !x, %b: tensor<i32>):
    %s = qlr.rope %a, %b {heads = 4 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : !x
    qlr.yield %s : !x
  } : (!x, tensor<i32>) -> !x
  %3 = qlr.kernel(%x, %p) {
  ^bb0(%a: !x, %b: tensor<i32>):
    %s = qlr.rope %a, %b {heads = 4 : i64, head_dim = 16 : i64, theta = 1.0e4 : f64} : !x
    qlr.yield %s : !x
  } : (!x, tensor<i32>) -> !x
  %4 = qlr.kernel(%z) {
  ^bb0(%a: tensor<8x64xf32>):
    %s = qlr.add %a, %a : tensor<8x64xf32>
    qlr.yield %s : tensor<8x64xf32>
  } : (tensor<8x64xf32>) -> tensor<8x64xf32>
  return
}
// CHECK-COUNT-5: qlr.kernel_def
// CHECK-NOT: qlr.kernel_def
