// Kernels can be edited between the passes: the pipeline takes up regions as they are. @bias is what the passes form; in
// @no_bias the bias is dropped, in @other_epilogue a residual stands in its place, in @added_op an op is added.
// RUN: qlr-opt %s --qlr-to-planned | FileCheck %s

!x = tensor<1x64xf32>
!w = !qlr.weight<64x64, q = #qlr.float<f32>>

qlr.weight_decl @table : !w {parts = ["table"]}
qlr.weight_decl @w : !w {parts = ["w"]}
qlr.vector_decl @b : tensor<64xf32> {kind = "bias", parts = ["b"]}

// CHECK-LABEL: func.func @bias
// CHECK: qlr.launch @[[$EMBED:k[0-9]+]](

// CHECK: qlr.launch @[[$BIAS:k[0-9]+]](
func.func @bias(%ids: tensor<1xi32>) -> !x {
  %t = qlr.weight_ref @table : !w
  %w = qlr.weight_ref @w : !w
  %b = qlr.vector_ref @b : tensor<64xf32>
  %0 = qlr.kernel(%ids, %t) {
  ^bb0(%i: tensor<1xi32>, %e: !w):
    %r = qlr.embed %i, %e : tensor<1xi32>, !w -> !x
    qlr.yield %r : !x
  } : (tensor<1xi32>, !w) -> !x
  %1 = qlr.kernel(%0, %w, %b) {
  ^bb0(%x: !x, %m: !w, %c: tensor<64xf32>):
    %y = qlr.matmul %x, %m : !x, !w -> !x
    %z = qlr.bias_add %y, %c : !x, tensor<64xf32>
    qlr.yield %z : !x
  } : (!x, !w, tensor<64xf32>) -> !x
  return %1 : !x
}

// CHECK-LABEL: func.func @no_bias
// CHECK: qlr.launch @[[$EMBED]](
// CHECK: qlr.launch @[[$PLAIN:k[0-9]+]](
func.func @no_bias(%ids: tensor<1xi32>) -> !x {
  %t = qlr.weight_ref @table : !w
  %w = qlr.weight_ref @w : !w
  %b = qlr.vector_ref @b : tensor<64xf32>
  %0 = qlr.kernel(%ids, %t) {
  ^bb0(%i: tensor<1xi32>, %e: !w):
    %r = qlr.embed %i, %e : tensor<1xi32>, !w -> !x
    qlr.yield %r : !x
  } : (tensor<1xi32>, !w) -> !x
  %1 = qlr.kernel(%0, %w, %b) {
  ^bb0(%x: !x, %m: !w, %c: tensor<64xf32>):
    %y = qlr.matmul %x, %m : !x, !w -> !x
    qlr.yield %y : !x
  } : (!x, !w, tensor<64xf32>) -> !x
  return %1 : !x
}

// CHECK-LABEL: func.func @other_epilogue
// CHECK: qlr.launch @[[$EMBED]](
// CHECK: qlr.launch @[[$RESIDUAL:k[0-9]+]](
func.func @other_epilogue(%ids: tensor<1xi32>) -> !x {
  %t = qlr.weight_ref @table : !w
  %w = qlr.weight_ref @w : !w
  %0 = qlr.kernel(%ids, %t) {
  ^bb0(%i: tensor<1xi32>, %e: !w):
    %r = qlr.embed %i, %e : tensor<1xi32>, !w -> !x
    qlr.yield %r : !x
  } : (tensor<1xi32>, !w) -> !x
  %1 = qlr.kernel(%0, %w) {
  ^bb0(%x: !x, %m: !w):
    %y = qlr.matmul %x, %m : !x, !w -> !x
    %z = qlr.add %y, %x : !x
    qlr.yield %z : !x
  } : (!x, !w) -> !x
  return %1 : !x
}

// CHECK-LABEL: func.func @added_op
// CHECK: qlr.launch @[[$EMBED]](
// CHECK: qlr.launch @[[$MORE:k[0-9]+]](
func.func @added_op(%ids: tensor<1xi32>) -> !x {
  %t = qlr.weight_ref @table : !w
  %w = qlr.weight_ref @w : !w
  %b = qlr.vector_ref @b : tensor<64xf32>
  %0 = qlr.kernel(%ids, %t) {
  ^bb0(%i: tensor<1xi32>, %e: !w):
    %r = qlr.embed %i, %e : tensor<1xi32>, !w -> !x
    qlr.yield %r : !x
  } : (tensor<1xi32>, !w) -> !x
  %1 = qlr.kernel(%0, %w, %b) {
  ^bb0(%x: !x, %m: !w, %c: tensor<64xf32>):
    %d = qlr.add %x, %x : !x
    %y = qlr.matmul %d, %m : !x, !w -> !x
    %z = qlr.bias_add %y, %c : !x, tensor<64xf32>
    qlr.yield %z : !x
  } : (!x, !w, tensor<64xf32>) -> !x
  return %1 : !x
}

// CHECK: qlr.kernel_def @[[$EMBED]](
// CHECK: qlr.kernel_def @[[$BIAS]](
// CHECK: qlr.matmul
// CHECK-NEXT: qlr.bias_add
// CHECK: qlr.kernel_def @[[$PLAIN]](
// CHECK: qlr.matmul
// CHECK-NEXT: qlr.yield
// CHECK: qlr.kernel_def @[[$RESIDUAL]](
// CHECK: qlr.matmul
// CHECK-NEXT: qlr.add
// The added op is what a product reads: it gets a stage before it.
// CHECK: qlr.kernel_def @[[$MORE]](
// CHECK: qlr.stage blocks
// CHECK-NEXT: qlr.add
// CHECK: qlr.stage strips
// CHECK-NEXT: qlr.matmul
// CHECK-NEXT: qlr.bias_add
