// RUN: qlr-opt %s --qlr-plan-buffers | FileCheck %s

!x = tensor<1x64xf32>
!w = !qlr.weight<64x64, q = #qlr.trellis<bits = 2>>
!a = !qlr.act<1x64, block = 128, sums = 128, rotation = 0>

// CHECK: module attributes {qlr.weights_bytes = 2176 : i64}
// CHECK-NEXT: qlr.levels_decl @levels.trellis2 : #qlr.trellis<bits = 2> {offset = 0 : i64}
// CHECK-NEXT: qlr.weight_decl @w {{.*}} {offsets = array<i64: 384, 1472, 0>, parts = ["w"]}
// CHECK-NEXT: qlr.vector_decl @n {{.*}} offset = 1664 : i64
qlr.weight_decl @w : !w {parts = ["w"]}
qlr.vector_decl @n : tensor<112xf32> {kind = "norm", parts = ["n"]}

// CHECK-LABEL: func.func @forward
// CHECK-SAME: attributes {qlr.logits_offset = 256 : i64, qlr.workspace_bytes = 960 : i64}
func.func @forward(%ids: tensor<1xi32>, %pos: tensor<i32>, %cache: !qlr.cache<2, 2, 16, bf16>) -> !x {
  %w = qlr.weight_ref @w : !w
  // CHECK: qlr.launch @embed(%{{.*}}, %{{.*}}) {args = [#qlr.arg<t, 64>, #qlr.arg<w, 384>, #qlr.arg<w, 1472>, #qlr.arg<w, 0>, #qlr.arg<s, 0>], weight_bytes = 16 : i64}
  %x = qlr.launch @embed(%ids, %w) : (tensor<1xi32>, !w) -> !x
  // x, then the result, then the activations between the stages.
  // CHECK: qlr.launch @product(%{{.*}}, %{{.*}}) {args = [#qlr.arg<s, 0>, #qlr.arg<w, 384>, #qlr.arg<w, 1472>, #qlr.arg<w, 0>, #qlr.arg<s, 256>, #qlr.arg<s, 512>], weight_bytes = 1152 : i64}
  %y = qlr.launch @product(%x, %w) : (!x, !w) -> !x
  // Only layer 1's part of the cache; x's memory is free again.
  %l = qlr.cache_layer %cache {layer = 1 : i64} : !qlr.cache<2, 2, 16, bf16> -> !qlr.cache<1, 2, 16, bf16>
  // CHECK: qlr.launch @attend(%{{.*}}) {args = [#qlr.arg<s, 256>, #qlr.arg<c, 128>, #qlr.arg<t, 0>, #qlr.arg<s, 0>], weight_bytes = 0 : i64}
  %z:2 = qlr.launch @attend(%y, %l, %pos) : (!x, !qlr.cache<1, 2, 16, bf16>, tensor<i32>) -> (!x, !qlr.cache<1, 2, 16, bf16>)
  // The cache that a kernel returns is the one it was given.
  // CHECK: qlr.launch @attend(%{{.*}}) {args = [#qlr.arg<s, 0>, #qlr.arg<c, 128>, #qlr.arg<t, 0>, #qlr.arg<s, 256>], weight_bytes = 0 : i64}
  %u:2 = qlr.launch @attend(%z#0, %z#1, %pos) : (!x, !qlr.cache<1, 2, 16, bf16>, tensor<i32>) -> (!x, !qlr.cache<1, 2, 16, bf16>)
  return %u#0 : !x
}

qlr.kernel_def @embed(%ids: tensor<1xi32>, %w: !w) -> !x {
  %s = qlr.stage tokens items 1 {
    %0 = qlr.embed %ids, %w : tensor<1xi32>, !w -> !x
    qlr.yield %0 : !x
  } : !x
  qlr.return %s : !x
}

qlr.kernel_def @product(%x: !x, %w: !w) -> !x {
  %a = qlr.stage blocks items 1 {
    %0 = qlr.rotate %x : !x -> !a
    qlr.yield %0 : !a
  } : !a
  %y = qlr.stage strips items 4 {
    %0 = qlr.matmul %a, %w : !a, !w -> !x
    qlr.yield %0 : !x
  } : !x
  qlr.return %y : !x
}

qlr.kernel_def @attend(%q: !x, %cache: !qlr.cache<1, 2, 16, bf16>, %pos: tensor<i32>) -> (!x, !qlr.cache<1, 2, 16, bf16>) {
  %o:2 = qlr.stage heads items 4 {
    %k = qlr.slice %q {offset = 0 : i64} : !x -> tensor<1x32xf32>
    %c = qlr.cache_append %cache, %k, %k, %pos : !qlr.cache<1, 2, 16, bf16>, tensor<1x32xf32>, tensor<1x32xf32>
    %0 = qlr.rope %q, %pos {heads = 4 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : !x
    qlr.yield %0, %c : !x, !qlr.cache<1, 2, 16, bf16>
  } : !x, !qlr.cache<1, 2, 16, bf16>
  qlr.return %o#0, %o#1 : !x, !qlr.cache<1, 2, 16, bf16>
}
