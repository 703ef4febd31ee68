// One case per rule of the descriptions of declarations, kernels and stages.
// RUN: qlr-opt %s -split-input-file -verify-diagnostics

// weight_decl C1
// expected-error @+1 {{expects 1 parts, got 2}}
qlr.weight_decl @w : !qlr.weight<64x64, q = #qlr.int<bits = 4>> {parts = ["a", "b"]}

// -----
// weight_decl C2
// expected-error @+1 {{expects 2 offsets, got 1}}
qlr.weight_decl @w : !qlr.weight<64x64, q = #qlr.int<bits = 4>> {parts = ["a"], offsets = array<i64: 0>}

// -----
// vector_decl C1
// expected-error @+1 {{expects kind norm, bias or signs, got scale}}
qlr.vector_decl @n : tensor<64xf32> {kind = "scale", parts = ["a"]}

// -----
// vector_decl C2
// expected-error @+1 {{expects at least one part}}
qlr.vector_decl @n : tensor<64xf32> {kind = "norm", parts = []}

// -----
// levels_decl C1
// expected-error @+1 {{expects a codec with levels, got #qlr.int<bits = 4>}}
qlr.levels_decl @l : #qlr.int<bits = 4>

// -----
// weight_ref C1
func.func @f() {
  // expected-error @+1 {{expects @w to be a qlr.weight_decl}}
  %w = qlr.weight_ref @w : !qlr.weight<64x64, q = #qlr.int<bits = 4>>
  return
}

// -----
// weight_ref C1
qlr.weight_decl @w : !qlr.weight<64x64, q = #qlr.int<bits = 4>> {parts = ["a"]}
func.func @f() {
  // expected-error @+1 {{expects the type of @w, '!qlr.weight<64x64, q = #qlr.int<bits = 4>>', got}}
  %w = qlr.weight_ref @w : !qlr.weight<64x64, q = #qlr.int<bits = 2>>
  return
}

// -----
// vector_ref C1
qlr.weight_decl @w : !qlr.weight<64x64, q = #qlr.int<bits = 4>> {parts = ["a"]}
func.func @f() {
  // expected-error @+1 {{expects @w to be a qlr.vector_decl}}
  %w = qlr.vector_ref @w : tensor<64xf32>
  return
}

// -----
// kernel C1
func.func @f(%x: tensor<1x64xf32>) {
  // expected-error @+1 {{expects region arguments of the operands' types}}
  qlr.kernel(%x) {
  ^bb0(%a: tensor<2x64xf32>):
    qlr.yield
  } : (tensor<1x64xf32>) -> ()
  return
}

// -----
// kernel C2
func.func @f(%x: tensor<1x64xf32>) {
  // expected-error @+1 {{expects to yield values of the results' types}}
  %y = qlr.kernel(%x) {
  ^bb0(%a: tensor<1x64xf32>):
    qlr.yield
  } : (tensor<1x64xf32>) -> tensor<1x64xf32>
  return
}

// -----
// kernel_def C1
// expected-error @+1 {{expects to end in qlr.return with values of the result types}}
qlr.kernel_def @k(%a: tensor<1x64xf32>) -> tensor<1x64xf32> {
  qlr.return
}

// -----
// launch C1
func.func @f(%x: tensor<1x64xf32>) {
  // expected-error @+1 {{expects @k to be a qlr.kernel_def}}
  qlr.launch @k(%x) : (tensor<1x64xf32>) -> ()
  return
}

// -----
// launch C1
qlr.kernel_def @k(%a: tensor<1x64xf32>) -> tensor<1x64xf32> {
  qlr.return %a : tensor<1x64xf32>
}
func.func @f(%x: tensor<1x64xf32>) {
  // expected-error @+1 {{expects the type of @k, '(tensor<1x64xf32>) -> tensor<1x64xf32>'}}
  qlr.launch @k(%x) : (tensor<1x64xf32>) -> ()
  return
}

// -----
// stage C1
qlr.kernel_def @k() {
  // expected-error @+1 {{expects at least one item, got 0}}
  qlr.stage tokens items 0 {
  }
  qlr.return
}

// -----
// stage C2
qlr.kernel_def @k() {
  // expected-error @+1 {{expects a block without arguments}}
  qlr.stage tokens items 1 {
  ^bb0(%a: tensor<1x64xf32>):
    qlr.yield
  }
  qlr.return
}

// -----
// stage C3
qlr.kernel_def @k(%a: tensor<1x64xf32>) {
  // expected-error @+1 {{expects to yield values of the results' types}}
  %s = qlr.stage tokens items 1 {
    qlr.yield
  } : tensor<1x64xf32>
  qlr.return
}
