// The kernels of a decoder layer, fused and unfused.
// RUN: qlr-opt %s --qlr-form-kernels | FileCheck %s
// RUN: qlr-opt %s --qlr-form-kernels=form=unfused | FileCheck %s --check-prefix=UNFUSED
// RUN: not qlr-opt %s --qlr-form-kernels=form=both 2>&1 | FileCheck %s --check-prefix=WRONG
// WRONG: expects form fused, two-stage or unfused, got both

!x = tensor<1x64xf32>
!kv = tensor<1x32xf32>
!h = tensor<1x128xf32>
!c = !qlr.cache<1, 2, 16, bf16>
!qkv = !qlr.weight<128x64, q = #qlr.float<f32>, parts = [64, 32, 32]>
!o = !qlr.weight<64x64, q = #qlr.float<f32>>
!g = !qlr.weight<256x64, q = #qlr.float<f32>, parts = [128, 128]>
!d = !qlr.weight<64x128, q = #qlr.float<f32>>

// CHECK-LABEL: func.func @layer
func.func @layer(%x: !x, %n: tensor<64xf32>, %b: tensor<128xf32>, %cache: !qlr.cache<2, 2, 16, bf16>, %pos: tensor<i32>,
                 %wqkv: !qkv, %wo: !o, %wg: !g, %wd: !d) -> !x {
  // CHECK: %[[L:.*]] = qlr.cache_layer
  // Norm, q|k|v, bias, RoPE and cache append; the slices are copied in.
  // CHECK: %[[Q:.*]]:2 = qlr.kernel
  // CHECK: qlr.rms_stat
  // CHECK: qlr.norm_apply
  // CHECK: qlr.matmul
  // CHECK: qlr.bias_add
  // CHECK: qlr.slice
  // CHECK: qlr.rope
  // CHECK: qlr.rope
  // CHECK: qlr.cache_append
  // CHECK: qlr.yield
  // CHECK: {source = "model.layers.1.self_attn"}
  // CHECK: %[[A:.*]] = qlr.kernel(%[[Q]]#0, %[[Q]]#1, %{{.*}}) {
  // CHECK-NEXT: ^bb0
  // CHECK-NEXT: qlr.attention
  // CHECK-NEXT: qlr.yield
  // CHECK: %[[O:.*]] = qlr.kernel(%[[A]], %{{.*}}, %{{.*}}) {
  // CHECK-NEXT: ^bb0
  // CHECK-NEXT: qlr.matmul
  // CHECK-NEXT: qlr.add
  // CHECK-NEXT: qlr.yield
  // CHECK: %[[G:.*]] = qlr.kernel(%[[O]], %{{.*}}, %{{.*}}) {
  // CHECK-NEXT: ^bb0
  // CHECK-NEXT: qlr.rms_stat
  // CHECK-NEXT: qlr.norm_apply
  // CHECK-NEXT: qlr.matmul
  // CHECK-NEXT: qlr.yield
  // CHECK: %[[D:.*]] = qlr.kernel(%[[G]], %{{.*}}, %[[O]]) {
  // CHECK: qlr.swiglu
  // CHECK-NEXT: qlr.matmul
  // CHECK-NEXT: qlr.add
  // CHECK-NEXT: qlr.yield
  // CHECK-NOT: qlr.kernel
  // CHECK: return %[[D]]

  // UNFUSED-LABEL: func.func @layer
  // UNFUSED-COUNT-16: = qlr.kernel
  // UNFUSED-NOT: qlr.kernel
  // UNFUSED-LABEL: func.func @mixed_siblings
  %l = qlr.cache_layer %cache {layer = 1 : i64} : !qlr.cache<2, 2, 16, bf16> -> !c
  %s1 = qlr.rms_stat %x {eps = 1.0e-6 : f64} : !x -> tensor<1xf32>
  %n1 = qlr.norm_apply %x, %s1, %n : !x, tensor<1xf32>, tensor<64xf32>
  %y = qlr.matmul %n1, %wqkv : !x, !qkv -> !h
  %z = qlr.bias_add %y, %b : !h, tensor<128xf32>
  %q = qlr.slice %z {offset = 0 : i64} : !h -> !x
  %k = qlr.slice %z {offset = 64 : i64} : !h -> !kv
  %v = qlr.slice %z {offset = 96 : i64} : !h -> !kv
  %rq = qlr.rope %q, %pos {heads = 4 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : !x
  %rk = qlr.rope %k, %pos {heads = 2 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : !kv
  %c = qlr.cache_append %l, %rk, %v, %pos : !c, !kv, !kv
  %a = qlr.attention %rq, %c, %pos {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64} : !x, !c
  %o = qlr.matmul %a, %wo : !x, !o -> !x
  %x2 = qlr.add %x, %o : !x
  %s2 = qlr.rms_stat %x2 {eps = 1.0e-6 : f64} : !x -> tensor<1xf32>
  %n2 = qlr.norm_apply %x2, %s2, %n : !x, tensor<1xf32>, tensor<64xf32>
  %gu = qlr.matmul %n2, %wg : !x, !g -> tensor<1x256xf32>
  %gate = qlr.slice %gu {offset = 0 : i64} : tensor<1x256xf32> -> !h
  %up = qlr.slice %gu {offset = 128 : i64} : tensor<1x256xf32> -> !h
  %h = qlr.swiglu %gate, %up : !h
  %d = qlr.matmul %h, %wd : !h, !d -> !x
  %x3 = qlr.add %x2, %d : !x
  return %x3 : !x
}

// Products of different codecs that share a norm are one kernel, and so is an activation of both.
// CHECK-LABEL: func.func @mixed_siblings
func.func @mixed_siblings(%x: !x, %n: tensor<64xf32>, %w1: !qlr.weight<128x64, q = #qlr.float<f32>>,
                          %w2: !qlr.weight<128x64, q = #qlr.int<bits = 8>>) -> !h {
  // CHECK: %[[K:.*]] = qlr.kernel
  // CHECK: qlr.matmul
  // CHECK: qlr.rotate
  // CHECK: qlr.matmul
  // CHECK: qlr.swiglu
  // CHECK-NOT: qlr.kernel
  // CHECK: return %[[K]]
  %s = qlr.rms_stat %x {eps = 1.0e-6 : f64} : !x -> tensor<1xf32>
  %m = qlr.norm_apply %x, %s, %n : !x, tensor<1xf32>, tensor<64xf32>
  %g = qlr.matmul %m, %w1 : !x, !qlr.weight<128x64, q = #qlr.float<f32>> -> !h
  %a = qlr.rotate %m : !x -> !qlr.act<1x64, block = 128, sums = 128, rotation = 0>
  %u = qlr.matmul %a, %w2 : !qlr.act<1x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<128x64, q = #qlr.int<bits = 8>> -> !h
  %h = qlr.swiglu %g, %u : !h
  return %h : !h
}

// A view that is returned is copied by a kernel of its own.
// CHECK-LABEL: func.func @returned_view
func.func @returned_view(%x: !x, %y: !x) -> !kv {
  // CHECK: %[[A:.*]] = qlr.kernel
  // CHECK: qlr.add
  // CHECK: qlr.kernel(%[[A]])
  // CHECK: qlr.slice
  %a = qlr.add %x, %y : !x
  %v = qlr.slice %a {offset = 0 : i64} : !x -> !kv
  return %v : !kv
}
