// One case per rule of the graph ops' descriptions (C1, C2, ... as there).
// RUN: qlr-opt %s -split-input-file -verify-diagnostics

// bias_add C1
func.func @f(%x: tensor<8x32xf32>, %b: tensor<8xf32>) {
  // expected-error @+1 {{expects bias elements 32, got 8}}
  %z = qlr.bias_add %x, %b : tensor<8x32xf32>, tensor<8xf32>
  return
}

// -----
// slice C1
func.func @f(%x: tensor<8x32xf32>) {
  // expected-error @+1 {{expects result tokens 8, got 4}}
  %z = qlr.slice %x {offset = 0 : i64} : tensor<8x32xf32> -> tensor<4x16xf32>
  return
}

// -----
// slice C2
func.func @f(%x: tensor<8x32xf32>) {
  // expected-error @+1 {{expects columns inside 32, got 16 from 24}}
  %z = qlr.slice %x {offset = 24 : i64} : tensor<8x32xf32> -> tensor<8x16xf32>
  return
}

// -----
// slice C2
func.func @f(%x: tensor<8x32xf32>) {
  // expected-error @+1 {{expects columns inside 32, got 16 from -1}}
  %z = qlr.slice %x {offset = -1 : i64} : tensor<8x32xf32> -> tensor<8x16xf32>
  return
}

// -----
// rope C1
func.func @f(%x: tensor<8x64xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{expects columns of x 32, got 64}}
  %r = qlr.rope %x, %p {heads = 2 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : tensor<8x64xf32>
  return
}

// -----
// rope C2
func.func @f(%x: tensor<8x64xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{expects an even and positive head_dim, got 15}}
  %r = qlr.rope %x, %p {heads = 4 : i64, head_dim = 15 : i64, theta = 1.0e6 : f64} : tensor<8x64xf32>
  return
}

// -----
// rope C3
func.func @f(%x: tensor<8x64xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{expects a positive theta}}
  %r = qlr.rope %x, %p {heads = 4 : i64, head_dim = 16 : i64, theta = 0.0 : f64} : tensor<8x64xf32>
  return
}

// -----
// cache_layer C1
func.func @f(%c: !qlr.cache<3, 2, 16, bf16>) {
  // expected-error @+1 {{expects a layer below 3, got 3}}
  %l = qlr.cache_layer %c {layer = 3 : i64} : !qlr.cache<3, 2, 16, bf16> -> !qlr.cache<1, 2, 16, bf16>
  return
}

// -----
// cache_layer C2
func.func @f(%c: !qlr.cache<3, 2, 16, bf16>) {
  // expected-error @+1 {{expects a result of one layer of}}
  %l = qlr.cache_layer %c {layer = 0 : i64} : !qlr.cache<3, 2, 16, bf16> -> !qlr.cache<1, 2, 16, f32>
  return
}

// -----
// cache_append C1
func.func @f(%c: !qlr.cache<3, 2, 16, bf16>, %k: tensor<8x32xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{expects cache layers 1, got 3}}
  %l = qlr.cache_append %c, %k, %k, %p : !qlr.cache<3, 2, 16, bf16>, tensor<8x32xf32>, tensor<8x32xf32>
  return
}

// -----
// cache_append C2
func.func @f(%c: !qlr.cache<1, 2, 16, bf16>, %k: tensor<8x32xf32>, %v: tensor<8x64xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{expects columns of v 32, got 64}}
  %l = qlr.cache_append %c, %k, %v, %p : !qlr.cache<1, 2, 16, bf16>, tensor<8x32xf32>, tensor<8x64xf32>
  return
}

// -----
// cache_append C2
func.func @f(%c: !qlr.cache<1, 2, 16, bf16>, %k: tensor<8x32xf32>, %v: tensor<8x64xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{expects columns of k 32, got 64}}
  %l = qlr.cache_append %c, %v, %k, %p : !qlr.cache<1, 2, 16, bf16>, tensor<8x64xf32>, tensor<8x32xf32>
  return
}

// -----
// cache_append C3
func.func @f(%c: !qlr.cache<1, 2, 16, bf16>, %k: tensor<8x32xf32>, %v: tensor<1x32xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{expects tokens of v 8, got 1}}
  %l = qlr.cache_append %c, %k, %v, %p : !qlr.cache<1, 2, 16, bf16>, tensor<8x32xf32>, tensor<1x32xf32>
  return
}

// -----
// attention C1
func.func @f(%q: tensor<8x64xf32>, %c: !qlr.cache<3, 2, 16, bf16>, %p: tensor<i32>) {
  // expected-error @+1 {{expects cache layers 1, got 3}}
  %o = qlr.attention %q, %c, %p {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64} : tensor<8x64xf32>, !qlr.cache<3, 2, 16, bf16>
  return
}

// -----
// attention C2
func.func @f(%q: tensor<8x64xf32>, %c: !qlr.cache<1, 2, 16, bf16>, %p: tensor<i32>) {
  // expected-error @+1 {{expects columns of q 32, got 64}}
  %o = qlr.attention %q, %c, %p {heads = 2 : i64, kv_heads = 2 : i64, head_dim = 16 : i64} : tensor<8x64xf32>, !qlr.cache<1, 2, 16, bf16>
  return
}

// -----
// attention C3
func.func @f(%q: tensor<8x64xf32>, %c: !qlr.cache<1, 2, 16, bf16>, %p: tensor<i32>) {
  // expected-error @+1 {{expects head_dim 16, got 32}}
  %o = qlr.attention %q, %c, %p {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 32 : i64} : tensor<8x64xf32>, !qlr.cache<1, 2, 16, bf16>
  return
}

// -----
// attention C3
func.func @f(%q: tensor<8x64xf32>, %c: !qlr.cache<1, 2, 16, bf16>, %p: tensor<i32>) {
  // expected-error @+1 {{expects kv_heads 2, got 4}}
  %o = qlr.attention %q, %c, %p {heads = 4 : i64, kv_heads = 4 : i64, head_dim = 16 : i64} : tensor<8x64xf32>, !qlr.cache<1, 2, 16, bf16>
  return
}

// -----
// attention C4
func.func @f(%q: tensor<8x64xf32>, %c: !qlr.cache<1, 2, 16, bf16>, %p: tensor<i32>) {
  // expected-error @+1 {{expects heads to be a multiple of 2, got 3}}
  %o = qlr.attention %q, %c, %p {heads = 3 : i64, kv_heads = 2 : i64, head_dim = 16 : i64} : tensor<8x64xf32>, !qlr.cache<1, 2, 16, bf16>
  return
}
