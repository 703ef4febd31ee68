// RUN: qlr-opt %s --qlr-verify-planned -split-input-file -verify-diagnostics

// A planned launch of a staged kernel is accepted.
func.func @accepted(%ids: tensor<1xi32>, %w: !qlr.weight<64x64, q = #qlr.float<f32>>) -> tensor<1x64xf32> attributes {qlr.logits_offset = 0 : i64, qlr.workspace_bytes = 256 : i64} {
  %x = qlr.launch @k(%ids, %w) {args = [#qlr.arg<t, 64>, #qlr.arg<w, 0>, #qlr.arg<s, 0>], weight_bytes = 256 : i64} : (tensor<1xi32>, !qlr.weight<64x64, q = #qlr.float<f32>>) -> tensor<1x64xf32>
  return %x : tensor<1x64xf32>
}
qlr.kernel_def @k(%ids: tensor<1xi32>, %w: !qlr.weight<64x64, q = #qlr.float<f32>>) -> tensor<1x64xf32> {
  %s = qlr.stage tokens items 1 {
    %0 = qlr.embed %ids, %w : tensor<1xi32>, !qlr.weight<64x64, q = #qlr.float<f32>> -> tensor<1x64xf32>
    qlr.yield %0 : tensor<1x64xf32>
  } : tensor<1x64xf32>
  qlr.return %s : tensor<1x64xf32>
}

// -----
// expected-error @+1 {{expects attribute qlr.workspace_bytes}}
func.func @f() {
  return
}

// -----
func.func @f(%x: tensor<1x64xf32>) attributes {qlr.logits_offset = 0 : i64, qlr.workspace_bytes = 256 : i64} {
  // expected-error @+1 {{is not part of a kernel}}
  %y = qlr.add %x, %x : tensor<1x64xf32>
  return
}

// -----
func.func @f() attributes {qlr.logits_offset = 0 : i64, qlr.workspace_bytes = 256 : i64} {
  // expected-error @+1 {{has no planned arguments}}
  qlr.launch @k() : () -> ()
  return
}
qlr.kernel_def @k() {
  qlr.return
}

// -----
func.func @f() attributes {qlr.logits_offset = 0 : i64, qlr.workspace_bytes = 256 : i64} {
  // expected-error @+1 {{expects 0 planned arguments, got 1}}
  qlr.launch @k() {args = [#qlr.arg<s, 0>], weight_bytes = 0 : i64} : () -> ()
  return
}
qlr.kernel_def @k() {
  qlr.return
}

// -----
qlr.kernel_def @k(%x: tensor<1x64xf32>) -> tensor<1x64xf32> {
  // expected-error @+1 {{is not part of a stage}}
  %y = qlr.add %x, %x : tensor<1x64xf32>
  qlr.return %y : tensor<1x64xf32>
}

// -----
qlr.kernel_def @k(%x: tensor<1x64xf32>) -> tensor<1x64xf32> {
  // expected-error @+1 {{over strips has no variant}}
  %y = qlr.stage strips items 1 {
    %0 = qlr.add %x, %x : tensor<1x64xf32>
    qlr.yield %0 : tensor<1x64xf32>
  } : tensor<1x64xf32>
  qlr.return %y : tensor<1x64xf32>
}

// -----
qlr.kernel_def @k(%x: tensor<1x64xf32>) -> tensor<1x64xf32> {
  // expected-error @+1 {{yields a value it does not compute}}
  %y = qlr.stage tokens items 1 {
    qlr.yield %x : tensor<1x64xf32>
  } : tensor<1x64xf32>
  qlr.return %y : tensor<1x64xf32>
}

// -----
!c = !qlr.cache<1, 2, 16, bf16>
!kv = tensor<1x32xf32>
func.func @f(%cache: !c, %k: !kv, %pos: tensor<i32>) attributes {qlr.logits_offset = 0 : i64, qlr.workspace_bytes = 256 : i64} {
  %n = qlr.launch @k(%cache, %k, %pos) {args = [#qlr.arg<c, 0>, #qlr.arg<s, 0>, #qlr.arg<t, 0>], weight_bytes = 0 : i64} : (!c, !kv, tensor<i32>) -> !c
  // expected-error @+1 {{reads a cache that a kernel before it has appended to}}
  %o = qlr.launch @k(%cache, %k, %pos) {args = [#qlr.arg<c, 0>, #qlr.arg<s, 0>, #qlr.arg<t, 0>], weight_bytes = 0 : i64} : (!c, !kv, tensor<i32>) -> !c
  return
}
qlr.kernel_def @k(%cache: !c, %k: !kv, %pos: tensor<i32>) -> !c {
  %s = qlr.stage heads items 2 {
    %0 = qlr.cache_append %cache, %k, %k, %pos : !c, !kv, !kv
    qlr.yield %0 : !c
  } : !c
  qlr.return %s : !c
}
