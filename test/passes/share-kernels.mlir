// RUN: qlr-opt %s --qlr-share-kernels | FileCheck %s

!x = tensor<1x64xf32>

// Two layers' residuals are one kernel; the activation is another.
// CHECK-LABEL: func.func @two_layers
// CHECK-SAME: (%[[X:.*]]: tensor<1x64xf32>, %[[Y:.*]]: tensor<1x64xf32>)
func.func @two_layers(%x: !x, %y: !x) -> !x {
  // CHECK-NEXT: %[[A:.*]] = qlr.launch @k0(%[[X]], %[[Y]]) {source = "layer 0"}
  // CHECK-NEXT: %[[B:.*]] = qlr.launch @k0(%[[A]], %[[Y]]) {source = "layer 1"}
  // CHECK-NEXT: %[[C:.*]] = qlr.launch @k1(%[[B]], %[[Y]])
  // CHECK-NEXT: return %[[C]]
  %0 = qlr.kernel(%x, %y) {
  ^bb0(%a: !x, %b: !x):
    %s = qlr.add %a, %b : !x
    qlr.yield %s : !x
  } {source = "layer 0"} : (!x, !x) -> !x
  %1 = qlr.kernel(%0, %y) {
  ^bb0(%a: !x, %b: !x):
    %s = qlr.add %a, %b : !x
    qlr.yield %s : !x
  } {source = "layer 1"} : (!x, !x) -> !x
  %2 = qlr.kernel(%1, %y) {
  ^bb0(%a: !x, %b: !x):
    %s = qlr.swiglu %a, %b : !x
    qlr.yield %s : !x
  } : (!x, !x) -> !x
  return %2 : !x
}
// CHECK: qlr.kernel_def @k0(%[[A0:.*]]: tensor<1x64xf32>, %[[B0:.*]]: tensor<1x64xf32>) -> tensor<1x64xf32> {
// CHECK-NEXT: %[[S:.*]] = qlr.add %[[A0]], %[[B0]]
// CHECK-NEXT: qlr.return %[[S]]
// CHECK: qlr.kernel_def @k1
// CHECK-NEXT: qlr.swiglu
