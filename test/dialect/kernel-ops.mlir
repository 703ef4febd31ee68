// Declarations, kernels, launches and stages survive printing and parsing.
// RUN: qlr-opt %s | qlr-opt | FileCheck %s

// CHECK: qlr.weight_decl @w : !qlr.weight<64x64, q = #qlr.int<bits = 4>> {parts = ["model.layers.0.self_attn.q_proj"]}
qlr.weight_decl @w : !qlr.weight<64x64, q = #qlr.int<bits = 4>> {parts = ["model.layers.0.self_attn.q_proj"]}
// CHECK: qlr.weight_decl @planned {{.*}} {offsets = array<i64: 0, 4096>, parts = ["p"]}
qlr.weight_decl @planned : !qlr.weight<64x64, q = #qlr.int<bits = 4>> {offsets = array<i64: 0, 4096>, parts = ["p"]}
// CHECK: qlr.vector_decl @n : tensor<64xf32> {kind = "norm", parts = ["model.norm.weight"]}
qlr.vector_decl @n : tensor<64xf32> {kind = "norm", parts = ["model.norm.weight"]}
// CHECK: qlr.levels_decl @levels.trellis2 : #qlr.trellis<bits = 2> {offset = 0 : i64}
qlr.levels_decl @levels.trellis2 : #qlr.trellis<bits = 2> {offset = 0 : i64}

// CHECK-LABEL: func.func @references
func.func @references() -> (!qlr.weight<64x64, q = #qlr.int<bits = 4>>, tensor<64xf32>) {
  // CHECK: qlr.weight_ref @w : !qlr.weight<64x64, q = #qlr.int<bits = 4>>
  %w = qlr.weight_ref @w : !qlr.weight<64x64, q = #qlr.int<bits = 4>>
  // CHECK: qlr.vector_ref @n : tensor<64xf32>
  %n = qlr.vector_ref @n : tensor<64xf32>
  return %w, %n : !qlr.weight<64x64, q = #qlr.int<bits = 4>>, tensor<64xf32>
}

// CHECK-LABEL: func.func @kernel
func.func @kernel(%x: tensor<1x64xf32>, %y: tensor<1x64xf32>) -> tensor<1x64xf32> {
  // CHECK: qlr.kernel(%{{.*}}, %{{.*}}) {
  // CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<1x64xf32>, %[[B:.*]]: tensor<1x64xf32>):
  // CHECK-NEXT: %[[S:.*]] = qlr.add %[[A]], %[[B]]
  // CHECK-NEXT: qlr.yield %[[S]] : tensor<1x64xf32>
  // CHECK-NEXT: } : (tensor<1x64xf32>, tensor<1x64xf32>) -> tensor<1x64xf32>
  %z = qlr.kernel(%x, %y) {
  ^bb0(%a: tensor<1x64xf32>, %b: tensor<1x64xf32>):
    %s = qlr.add %a, %b : tensor<1x64xf32>
    qlr.yield %s : tensor<1x64xf32>
  } : (tensor<1x64xf32>, tensor<1x64xf32>) -> tensor<1x64xf32>
  // CHECK: {source = "w"} : (tensor<1x64xf32>) -> ()
  qlr.kernel(%x) {
  ^bb0(%a: tensor<1x64xf32>):
    qlr.yield
  } {source = "w"} : (tensor<1x64xf32>) -> ()
  return %z : tensor<1x64xf32>
}

// CHECK-LABEL: func.func @launch
func.func @launch(%x: tensor<1x64xf32>, %y: tensor<1x64xf32>) -> tensor<1x64xf32> {
  // CHECK: qlr.launch @k(%{{.*}}, %{{.*}}) : (tensor<1x64xf32>, tensor<1x64xf32>) -> tensor<1x64xf32>
  %z = qlr.launch @k(%x, %y) : (tensor<1x64xf32>, tensor<1x64xf32>) -> tensor<1x64xf32>
  // CHECK: args = [#qlr.arg<s, 0>, #qlr.arg<s, 256>, #qlr.arg<s, 512>], weight_bytes = 0 : i64
  %u = qlr.launch @k(%x, %z) {args = [#qlr.arg<s, 0>, #qlr.arg<s, 256>, #qlr.arg<s, 512>], weight_bytes = 0 : i64} : (tensor<1x64xf32>, tensor<1x64xf32>) -> tensor<1x64xf32>
  return %u : tensor<1x64xf32>
}

// CHECK-LABEL: qlr.kernel_def @k(
qlr.kernel_def @k(%a: tensor<1x64xf32>, %b: tensor<1x64xf32>) -> tensor<1x64xf32> {
  %s = qlr.add %a, %b : tensor<1x64xf32>
  // CHECK: qlr.return %{{.*}} : tensor<1x64xf32>
  qlr.return %s : tensor<1x64xf32>
}

// CHECK-LABEL: qlr.kernel_def @stages(
qlr.kernel_def @stages(%x: tensor<8x64xf32>) -> tensor<8xf32> {
  // CHECK: qlr.stage tokens items 8 {
  %s = qlr.stage tokens items 8 {
    %0 = qlr.rms_stat %x {eps = 1.0e-6 : f64} : tensor<8x64xf32> -> tensor<8xf32>
    qlr.yield %0 : tensor<8xf32>
  } : tensor<8xf32>
  // CHECK: qlr.stage blocks items 1 variant {strips = 2 : i64} {
  qlr.stage blocks items 1 variant {strips = 2 : i64} {
  }
  // CHECK: qlr.stage heads items 1
  qlr.stage heads items 1 {
    qlr.yield
  }
  // CHECK: qlr.stage strips items 1
  qlr.stage strips items 1 {
  }
  qlr.return %s : tensor<8xf32>
}
