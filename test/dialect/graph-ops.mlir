// Every graph op survives printing and parsing. The lines are the examples of the ops' descriptions.
// RUN: qlr-opt %s | qlr-opt | FileCheck %s

!pos = tensor<i32>

// CHECK-LABEL: func.func @tokens
func.func @tokens(%ids: tensor<8xi32>, %w: !qlr.weight<512x64, q = #qlr.float<bf16>>) -> tensor<1x64xf32> {
  // CHECK: %[[X:.*]] = qlr.embed %{{.*}}, %{{.*}} : tensor<8xi32>, !qlr.weight<512x64, q = #qlr.float<bf16>> -> tensor<8x64xf32>
  %x = qlr.embed %ids, %w : tensor<8xi32>, !qlr.weight<512x64, q = #qlr.float<bf16>> -> tensor<8x64xf32>
  // CHECK: qlr.last_token %[[X]] : tensor<8x64xf32> -> tensor<1x64xf32>
  %l = qlr.last_token %x : tensor<8x64xf32> -> tensor<1x64xf32>
  return %l : tensor<1x64xf32>
}

// CHECK-LABEL: func.func @norm(
func.func @norm(%x: tensor<8x64xf32>, %w: tensor<64xf32>) {
  // CHECK: qlr.rms_norm %{{.*}}, %{{.*}} {eps = {{.*}} : f64} : tensor<8x64xf32>, tensor<64xf32>
  %n = qlr.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<8x64xf32>, tensor<64xf32>
  return
}

// CHECK-LABEL: func.func @split_norm
func.func @split_norm(%x: tensor<8x64xf32>, %w: tensor<64xf32>) {
  // CHECK: %[[S:.*]] = qlr.rms_stat %{{.*}} {eps = {{.*}} : f64} : tensor<8x64xf32> -> tensor<8xf32>
  %s = qlr.rms_stat %x {eps = 1.0e-6 : f64} : tensor<8x64xf32> -> tensor<8xf32>
  // CHECK: qlr.norm_apply %{{.*}}, %[[S]], %{{.*}} : tensor<8x64xf32>, tensor<8xf32>, tensor<64xf32>
  %n = qlr.norm_apply %x, %s, %w : tensor<8x64xf32>, tensor<8xf32>, tensor<64xf32>
  return
}

// CHECK-LABEL: func.func @deferred_norm
func.func @deferred_norm(%x: tensor<8x64xf32>, %w: tensor<64xf32>, %y: tensor<8x32xf32>, %s: tensor<8xf32>) {
  // CHECK: qlr.scale_columns %{{.*}}, %{{.*}} : tensor<8x64xf32>, tensor<64xf32>
  %c = qlr.scale_columns %x, %w : tensor<8x64xf32>, tensor<64xf32>
  // CHECK: qlr.scale_tokens %{{.*}}, %{{.*}} : tensor<8x32xf32>, tensor<8xf32>
  %t = qlr.scale_tokens %y, %s : tensor<8x32xf32>, tensor<8xf32>
  return
}

// CHECK-LABEL: func.func @rotations
func.func @rotations(%x: tensor<8x64xf32>, %signs: tensor<64xf32>) {
  // CHECK: qlr.rotate %{{.*}}, %{{.*}} : tensor<8x64xf32>, tensor<64xf32> -> !qlr.act<8x64, block = 128, sums = 128, rotation = 64>
  %a = qlr.rotate %x, %signs : tensor<8x64xf32>, tensor<64xf32> -> !qlr.act<8x64, block = 128, sums = 128, rotation = 64>
  // CHECK: qlr.rotate %{{.*}} : tensor<8x64xf32> -> !qlr.act<8x64, block = 128, sums = 128, rotation = 0>
  %b = qlr.rotate %x : tensor<8x64xf32> -> !qlr.act<8x64, block = 128, sums = 128, rotation = 0>
  return
}

// CHECK-LABEL: func.func @float_products
func.func @float_products(%x: tensor<8x64xf32>, %w: !qlr.weight<32x64, q = #qlr.float<f32>>, %b: tensor<32xf32>) {
  // CHECK: qlr.linear %{{.*}}, %{{.*}}, %{{.*}} : tensor<8x64xf32>, !qlr.weight<32x64, q = #qlr.float<f32>>, tensor<32xf32> -> tensor<8x32xf32>
  %y = qlr.linear %x, %w, %b : tensor<8x64xf32>, !qlr.weight<32x64, q = #qlr.float<f32>>, tensor<32xf32> -> tensor<8x32xf32>
  // CHECK: qlr.linear %{{.*}}, %{{.*}} : tensor<8x64xf32>, !qlr.weight<32x64, q = #qlr.float<f32>> -> tensor<8x32xf32>
  %u = qlr.linear %x, %w : tensor<8x64xf32>, !qlr.weight<32x64, q = #qlr.float<f32>> -> tensor<8x32xf32>
  return
}

// CHECK-LABEL: func.func @float_product_and_bias
func.func @float_product_and_bias(%x: tensor<8x64xf32>, %w: !qlr.weight<32x64, q = #qlr.float<f32>>, %b: tensor<32xf32>) {
  // CHECK: qlr.matmul
  %y = qlr.matmul %x, %w : tensor<8x64xf32>, !qlr.weight<32x64, q = #qlr.float<f32>> -> tensor<8x32xf32>
  // CHECK: qlr.bias_add %{{.*}}, %{{.*}} : tensor<8x32xf32>, tensor<32xf32>
  %z = qlr.bias_add %y, %b : tensor<8x32xf32>, tensor<32xf32>
  return
}

// CHECK-LABEL: func.func @quantized_products
func.func @quantized_products(%a: !qlr.act<1x64, block = 128, sums = 128, rotation = 0>,
    %w: !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>>) {
  // CHECK: %[[Y:.*]] = qlr.matmul
  %y = qlr.matmul %a, %w : !qlr.act<1x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>> -> tensor<1x32xf32>
  // CHECK: %[[T:.*]] = qlr.project
  %t = qlr.project %a, %w : !qlr.act<1x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>> -> tensor<1x16xf32>
  // CHECK: qlr.expand %[[Y]], %[[T]], %{{.*}} : tensor<1x32xf32>, tensor<1x16xf32>
  %z = qlr.expand %y, %t, %w : tensor<1x32xf32>, tensor<1x16xf32>, !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>>
  return
}

// CHECK-LABEL: func.func @elementwise
func.func @elementwise(%x: tensor<8x64xf32>, %y: tensor<8x64xf32>, %gate: tensor<8x128xf32>, %up: tensor<8x128xf32>) {
  // CHECK: qlr.add %{{.*}}, %{{.*}} : tensor<8x64xf32>
  %z = qlr.add %x, %y : tensor<8x64xf32>
  // CHECK: qlr.swiglu %{{.*}}, %{{.*}} : tensor<8x128xf32>
  %h = qlr.swiglu %gate, %up : tensor<8x128xf32>
  return
}

// CHECK-LABEL: func.func @view
func.func @view(%y: tensor<8x128xf32>) {
  // CHECK: qlr.slice %{{.*}} {offset = 64 : i64} : tensor<8x128xf32> -> tensor<8x32xf32>
  %k = qlr.slice %y {offset = 64 : i64} : tensor<8x128xf32> -> tensor<8x32xf32>
  return
}

// CHECK-LABEL: func.func @rope
func.func @rope(%x: tensor<8x64xf32>, %pos: !pos) {
  // CHECK: qlr.rope %{{.*}}, %{{.*}} {head_dim = 16 : i64, heads = 4 : i64, theta = 1.000000e+06 : f64} : tensor<8x64xf32>
  %r = qlr.rope %x, %pos {heads = 4 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : tensor<8x64xf32>
  return
}

// CHECK-LABEL: func.func @layers
func.func @layers(%cache: !qlr.cache<24, 2, 64, bf16>) {
  // CHECK: qlr.cache_layer %{{.*}} {layer = 3 : i64} : !qlr.cache<24, 2, 64, bf16> -> !qlr.cache<1, 2, 64, bf16>
  %l = qlr.cache_layer %cache {layer = 3 : i64} : !qlr.cache<24, 2, 64, bf16> -> !qlr.cache<1, 2, 64, bf16>
  return
}

// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<8x64xf32>, %k: tensor<8x32xf32>, %v: tensor<8x32xf32>, %pos: !pos,
                     %cache: !qlr.cache<1, 2, 16, bf16>) {
  // CHECK: qlr.cache_append %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : !qlr.cache<1, 2, 16, bf16>, tensor<8x32xf32>, tensor<8x32xf32>
  %c = qlr.cache_append %cache, %k, %v, %pos : !qlr.cache<1, 2, 16, bf16>, tensor<8x32xf32>, tensor<8x32xf32>
  // CHECK: qlr.attention %{{.*}}, %{{.*}}, %{{.*}} {head_dim = 16 : i64, heads = 4 : i64, kv_heads = 2 : i64} : tensor<8x64xf32>, !qlr.cache<1, 2, 16, bf16>
  %o = qlr.attention %q, %cache, %pos {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64} : tensor<8x64xf32>, !qlr.cache<1, 2, 16, bf16>
  return
}
