// One kernel per rule of staging.
// RUN: qlr-opt %s --qlr-stage --verify-each | FileCheck %s

!x = tensor<8x64xf32>
!kv = tensor<8x32xf32>
!h = tensor<8x128xf32>
!c = !qlr.cache<1, 2, 16, bf16>
!f = !qlr.weight<64x64, q = #qlr.float<f32>>

// RoPE of queries and keys and the cache append are one stage; views are copied into it.
// CHECK-LABEL: qlr.kernel_def @heads(
qlr.kernel_def @heads(%y: !h, %pos: tensor<i32>, %cache: !c) -> (!x, !c) {
  // CHECK-NEXT: qlr.stage heads items 32 {
  // CHECK-NEXT: qlr.slice
  // CHECK-NEXT: qlr.rope
  // CHECK-NEXT: qlr.slice
  // CHECK-NEXT: qlr.rope
  // CHECK-NEXT: qlr.slice
  // CHECK-NEXT: qlr.cache_append
  // CHECK-NEXT: qlr.yield %{{.*}}, %{{.*}} : tensor<8x64xf32>, !qlr.cache
  // CHECK-NOT: qlr.stage
  // CHECK: qlr.return
  %q = qlr.slice %y {offset = 0 : i64} : !h -> !x
  %k = qlr.slice %y {offset = 64 : i64} : !h -> !kv
  %v = qlr.slice %y {offset = 96 : i64} : !h -> !kv
  %rq = qlr.rope %q, %pos {heads = 4 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : !x
  %rk = qlr.rope %k, %pos {heads = 2 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : !kv
  %c = qlr.cache_append %cache, %rk, %v, %pos : !c, !kv, !kv
  qlr.return %rq, %c : !x, !c
}

// Attention reads other items' keys: a stage after the append.
// CHECK-LABEL: qlr.kernel_def @append_and_attend(
qlr.kernel_def @append_and_attend(%q: !x, %k: !kv, %pos: tensor<i32>, %cache: !c) -> !x {
  // CHECK-NEXT: %[[C:.*]] = qlr.stage heads items 16 {
  // CHECK-NEXT: qlr.cache_append
  // CHECK: qlr.stage heads items 32 {
  // CHECK-NEXT: qlr.attention %{{.*}}, %[[C]]
  %c = qlr.cache_append %cache, %k, %k, %pos : !c, !kv, !kv
  %o = qlr.attention %q, %c, %pos {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64} : !x, !c
  qlr.return %o : !x
}

// What a product of floats reads is computed into memory first.
// CHECK-LABEL: qlr.kernel_def @float_input(
qlr.kernel_def @float_input(%y: tensor<8x128xf32>, %w: !f) -> !x {
  // CHECK-NEXT: %[[H:.*]] = qlr.stage blocks items 8 {
  // CHECK-NEXT: qlr.slice
  // CHECK-NEXT: qlr.slice
  // CHECK-NEXT: qlr.swiglu
  // CHECK-NEXT: qlr.yield
  // CHECK: qlr.stage strips items 4 {
  // CHECK-NEXT: qlr.matmul %[[H]]
  %g = qlr.slice %y {offset = 0 : i64} : !h -> !x
  %u = qlr.slice %y {offset = 64 : i64} : !h -> !x
  %s = qlr.swiglu %g, %u : !x
  %r = qlr.matmul %s, %w : !x, !f -> !x
  qlr.return %r : !x
}

// A view of a product's own result lies in other items: no epilogue.
// CHECK-LABEL: qlr.kernel_def @view_of_product(
qlr.kernel_def @view_of_product(%x: !x, %w: !f) -> !kv {
  // CHECK-NEXT: %[[Y:.*]] = qlr.stage strips items 4 {
  // CHECK-NEXT: qlr.matmul
  // CHECK-NEXT: qlr.yield
  // CHECK: qlr.stage blocks items 8 {
  // CHECK-NEXT: qlr.slice %[[Y]]
  // CHECK-NEXT: qlr.slice %[[Y]]
  // CHECK-NEXT: qlr.add
  %y = qlr.matmul %x, %w : !x, !f -> !x
  %a = qlr.slice %y {offset = 0 : i64} : !x -> !kv
  %b = qlr.slice %y {offset = 32 : i64} : !x -> !kv
  %s = qlr.add %a, %b : !kv
  qlr.return %s : !kv
}

// Sibling products: the second one's epilogue uses the first's result.
// CHECK-LABEL: qlr.kernel_def @two_products(
qlr.kernel_def @two_products(%x: !x, %w: !f, %v: !f) -> !x {
  // CHECK-NEXT: %[[A:.*]] = qlr.stage strips items 4 {
  // CHECK-NEXT: qlr.matmul
  // CHECK-NEXT: qlr.yield
  // CHECK: qlr.stage strips items 4 {
  // CHECK-NEXT: %[[B:.*]] = qlr.matmul
  // CHECK-NEXT: qlr.swiglu %[[A]], %[[B]]
  %a = qlr.matmul %x, %w : !x, !f -> !x
  %b = qlr.matmul %x, %v : !x, !f -> !x
  %s = qlr.swiglu %a, %b : !x
  qlr.return %s : !x
}

// One normalized value that is rotated and also read as floats is in memory, and the rotation reads it there.
// CHECK-LABEL: qlr.kernel_def @shared_input(
qlr.kernel_def @shared_input(%x: !x, %s: tensor<8xf32>, %n: tensor<64xf32>, %w: !f, %v: !qlr.weight<64x64, q = #qlr.int<bits = 8>>) -> !x {
  // CHECK-NEXT: %[[M:.*]] = qlr.stage blocks items 8 {
  // CHECK-NEXT: qlr.norm_apply
  // CHECK: qlr.stage strips
  // CHECK-NEXT: qlr.matmul %[[M]]
  // CHECK: qlr.stage blocks items 8 {
  // CHECK-NEXT: qlr.rotate %[[M]]
  %m = qlr.norm_apply %x, %s, %n : !x, tensor<8xf32>, tensor<64xf32>
  %a = qlr.matmul %m, %w : !x, !f -> !x
  %r = qlr.rotate %m : !x -> !qlr.act<8x64, block = 128, sums = 128, rotation = 0>
  %b = qlr.matmul %r, %v : !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<64x64, q = #qlr.int<bits = 8>> -> !x
  %c = qlr.add %a, %b : !x
  qlr.return %c : !x
}

// Without a product to extend, expansion and bias have stages of their own.
// CHECK-LABEL: qlr.kernel_def @alone(
!r = !qlr.weight<64x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>>
qlr.kernel_def @alone(%y: !x, %t: tensor<8x16xf32>, %w: !r) -> !x {
  // CHECK-NEXT: qlr.stage strips items 4 {
  // CHECK-NEXT: qlr.expand
  // CHECK-NEXT: qlr.add
  %e = qlr.expand %y, %t, %w : !x, tensor<8x16xf32>, !r
  %s = qlr.add %e, %y : !x
  qlr.return %s : !x
}

// Staged kernels are left alone.
// CHECK-LABEL: qlr.kernel_def @staged(
qlr.kernel_def @staged(%x: !x) -> !x {
  // CHECK-NEXT: qlr.stage tokens items 4 {
  %s = qlr.stage tokens items 4 {
    %0 = qlr.add %x, %x : !x
    qlr.yield %0 : !x
  } : !x
  qlr.return %s : !x
}

// A view of another head's result is read from memory.
// CHECK-LABEL: qlr.kernel_def @rope_of_other_heads(
qlr.kernel_def @rope_of_other_heads(%x: !x, %pos: tensor<i32>) -> !kv {
  // CHECK-NEXT: %[[R:.*]] = qlr.stage heads items 32 {
  // CHECK-NEXT: qlr.rope
  // CHECK: qlr.stage heads items 16 {
  // CHECK-NEXT: qlr.slice %[[R]]
  // CHECK-NEXT: qlr.rope
  %r = qlr.rope %x, %pos {heads = 4 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : !x
  %s = qlr.slice %r {offset = 32 : i64} : !x -> !kv
  %t = qlr.rope %s, %pos {heads = 2 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : !kv
  qlr.return %t : !kv
}
