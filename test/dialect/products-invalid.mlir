// One case per rule of the graph ops' descriptions (C1, C2, ... as there).
// RUN: qlr-opt %s -split-input-file -verify-diagnostics

// embed C1
func.func @f(%ids: tensor<8xi32>, %w: !qlr.weight<512x64, q = #qlr.float<f32>>) {
  // expected-error @+1 {{expects a result of 8x64, got 8x32}}
  %x = qlr.embed %ids, %w : tensor<8xi32>, !qlr.weight<512x64, q = #qlr.float<f32>> -> tensor<8x32xf32>
  return
}

// -----
// embed C2
func.func @f(%ids: tensor<8xi32>, %w: !qlr.weight<512x64, q = #qlr.int<bits = 8>, rotation = 64>) {
  // expected-error @+1 {{expects a weight without low-rank branch and rotation}}
  %x = qlr.embed %ids, %w : tensor<8xi32>, !qlr.weight<512x64, q = #qlr.int<bits = 8>, rotation = 64> -> tensor<8x64xf32>
  return
}

// -----
// last_token C1
func.func @f(%x: tensor<8x64xf32>) {
  // expected-error @+1 {{expects a result of 1x64, got 2x64}}
  %l = qlr.last_token %x : tensor<8x64xf32> -> tensor<2x64xf32>
  return
}

// -----
// rms_norm C1
func.func @f(%x: tensor<8x64xf32>, %w: tensor<32xf32>) {
  // expected-error @+1 {{expects weight elements 64, got 32}}
  %n = qlr.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<8x64xf32>, tensor<32xf32>
  return
}

// -----
// rms_norm C2
func.func @f(%x: tensor<8x64xf32>, %w: tensor<64xf32>) {
  // expected-error @+1 {{expects a positive eps}}
  %n = qlr.rms_norm %x, %w {eps = 0.0 : f64} : tensor<8x64xf32>, tensor<64xf32>
  return
}

// -----
// rms_stat C1
func.func @f(%x: tensor<8x64xf32>) {
  // expected-error @+1 {{expects result elements 8, got 64}}
  %s = qlr.rms_stat %x {eps = 1.0e-6 : f64} : tensor<8x64xf32> -> tensor<64xf32>
  return
}

// -----
// rms_stat C2
func.func @f(%x: tensor<8x64xf32>) {
  // expected-error @+1 {{expects a positive eps}}
  %s = qlr.rms_stat %x {eps = -1.0 : f64} : tensor<8x64xf32> -> tensor<8xf32>
  return
}

// -----
// norm_apply C1
func.func @f(%x: tensor<8x64xf32>, %w: tensor<64xf32>) {
  // expected-error @+1 {{expects stat elements 8, got 64}}
  %n = qlr.norm_apply %x, %w, %w : tensor<8x64xf32>, tensor<64xf32>, tensor<64xf32>
  return
}

// -----
// norm_apply C2
func.func @f(%x: tensor<8x64xf32>, %s: tensor<8xf32>) {
  // expected-error @+1 {{expects weight elements 64, got 8}}
  %n = qlr.norm_apply %x, %s, %s : tensor<8x64xf32>, tensor<8xf32>, tensor<8xf32>
  return
}

// -----
// scale_columns C1
func.func @f(%x: tensor<8x64xf32>, %s: tensor<8xf32>) {
  // expected-error @+1 {{expects weight elements 64, got 8}}
  %c = qlr.scale_columns %x, %s : tensor<8x64xf32>, tensor<8xf32>
  return
}

// -----
// scale_tokens C1
func.func @f(%x: tensor<8x64xf32>, %w: tensor<64xf32>) {
  // expected-error @+1 {{expects stat elements 8, got 64}}
  %t = qlr.scale_tokens %x, %w : tensor<8x64xf32>, tensor<64xf32>
  return
}

// -----
// rotate C1
func.func @f(%x: tensor<8x64xf32>) {
  // expected-error @+1 {{expects a result of 8x64, got 8x128}}
  %a = qlr.rotate %x : tensor<8x64xf32> -> !qlr.act<8x128, block = 128, sums = 128, rotation = 0>
  return
}

// -----
// rotate C2
func.func @f(%x: tensor<8x64xf32>, %s: tensor<8xf32>) {
  // expected-error @+1 {{expects signs elements 64, got 8}}
  %a = qlr.rotate %x, %s : tensor<8x64xf32>, tensor<8xf32> -> !qlr.act<8x64, block = 128, sums = 128, rotation = 64>
  return
}

// -----
// rotate C3
func.func @f(%x: tensor<8x64xf32>, %s: tensor<64xf32>) {
  // expected-error @+1 {{expects no signs without rotation}}
  %a = qlr.rotate %x, %s : tensor<8x64xf32>, tensor<64xf32> -> !qlr.act<8x64, block = 128, sums = 128, rotation = 0>
  return
}

// -----
// linear C1
func.func @f(%x: tensor<8x64xf32>, %w: !qlr.weight<32x32, q = #qlr.float<f32>>) {
  // expected-error @+1 {{expects columns of x 32, got 64}}
  %y = qlr.linear %x, %w : tensor<8x64xf32>, !qlr.weight<32x32, q = #qlr.float<f32>> -> tensor<8x32xf32>
  return
}

// -----
// linear C2
func.func @f(%x: tensor<8x64xf32>, %w: !qlr.weight<32x64, q = #qlr.float<f32>>) {
  // expected-error @+1 {{expects a result of 8x32, got 4x32}}
  %y = qlr.linear %x, %w : tensor<8x64xf32>, !qlr.weight<32x64, q = #qlr.float<f32>> -> tensor<4x32xf32>
  return
}

// -----
// linear C3
func.func @f(%x: !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, %w: !qlr.weight<32x64, q = #qlr.float<f32>>) {
  // expected-error @+1 {{expects f32 activations for #qlr.float<f32>}}
  %y = qlr.linear %x, %w : !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<32x64, q = #qlr.float<f32>> -> tensor<8x32xf32>
  return
}

// -----
// linear C3
func.func @f(%x: tensor<8x64xf32>, %w: !qlr.weight<32x64, q = #qlr.int<bits = 2>>) {
  // expected-error @+1 {{expects quantized activations for #qlr.int<bits = 2>}}
  %y = qlr.linear %x, %w : tensor<8x64xf32>, !qlr.weight<32x64, q = #qlr.int<bits = 2>> -> tensor<8x32xf32>
  return
}

// -----
// linear C4
func.func @f(%x: !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, %w: !qlr.weight<32x64, q = #qlr.int<bits = 2, group = 64>>) {
  // expected-error @+1 {{expects activation sums of 64, got 128}}
  %y = qlr.linear %x, %w : !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<32x64, q = #qlr.int<bits = 2, group = 64>> -> tensor<8x32xf32>
  return
}

// -----
// linear C5
func.func @f(%x: !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, %w: !qlr.weight<32x64, q = #qlr.int<bits = 2>, rotation = 64>) {
  // expected-error @+1 {{expects activations rotated by 64, got 0}}
  %y = qlr.linear %x, %w : !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<32x64, q = #qlr.int<bits = 2>, rotation = 64> -> tensor<8x32xf32>
  return
}

// -----
// matmul C1
func.func @f(%x: tensor<8x64xf32>, %w: !qlr.weight<32x32, q = #qlr.float<f32>>) {
  // expected-error @+1 {{expects columns of x 32, got 64}}
  %y = qlr.matmul %x, %w : tensor<8x64xf32>, !qlr.weight<32x32, q = #qlr.float<f32>> -> tensor<8x32xf32>
  return
}

// -----
// matmul C2
func.func @f(%x: tensor<8x64xf32>, %w: !qlr.weight<32x64, q = #qlr.float<f32>>) {
  // expected-error @+1 {{expects a result of 8x32, got 4x32}}
  %y = qlr.matmul %x, %w : tensor<8x64xf32>, !qlr.weight<32x64, q = #qlr.float<f32>> -> tensor<4x32xf32>
  return
}

// -----
// matmul C3
func.func @f(%x: !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, %w: !qlr.weight<32x64, q = #qlr.float<f32>>) {
  // expected-error @+1 {{expects f32 activations for #qlr.float<f32>}}
  %y = qlr.matmul %x, %w : !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<32x64, q = #qlr.float<f32>> -> tensor<8x32xf32>
  return
}

// -----
// matmul C3
func.func @f(%x: tensor<8x64xf32>, %w: !qlr.weight<32x64, q = #qlr.int<bits = 2>>) {
  // expected-error @+1 {{expects quantized activations for #qlr.int<bits = 2>}}
  %y = qlr.matmul %x, %w : tensor<8x64xf32>, !qlr.weight<32x64, q = #qlr.int<bits = 2>> -> tensor<8x32xf32>
  return
}

// -----
// matmul C4
func.func @f(%x: !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, %w: !qlr.weight<32x64, q = #qlr.int<bits = 2, group = 64>>) {
  // expected-error @+1 {{expects activation sums of 64, got 128}}
  %y = qlr.matmul %x, %w : !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<32x64, q = #qlr.int<bits = 2, group = 64>> -> tensor<8x32xf32>
  return
}

// -----
// matmul C5
func.func @f(%x: !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, %w: !qlr.weight<32x64, q = #qlr.int<bits = 2>, rotation = 64>) {
  // expected-error @+1 {{expects activations rotated by 64, got 0}}
  %y = qlr.matmul %x, %w : !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<32x64, q = #qlr.int<bits = 2>, rotation = 64> -> tensor<8x32xf32>
  return
}

// -----
// linear C6
func.func @f(%x: tensor<8x64xf32>, %w: !qlr.weight<32x64, q = #qlr.float<f32>>, %b: tensor<64xf32>) {
  // expected-error @+1 {{expects bias elements 32, got 64}}
  %y = qlr.linear %x, %w, %b : tensor<8x64xf32>, !qlr.weight<32x64, q = #qlr.float<f32>>, tensor<64xf32> -> tensor<8x32xf32>
  return
}

// -----
// project C1
func.func @f(%x: !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, %w: !qlr.weight<32x32, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>>) {
  // expected-error @+1 {{expects columns of x 32, got 64}}
  %t = qlr.project %x, %w : !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<32x32, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>> -> tensor<8x16xf32>
  return
}

// -----
// project C2
func.func @f(%x: !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, %w: !qlr.weight<32x64, q = #qlr.int<bits = 2>>) {
  // expected-error @+1 {{expects a weight with a low-rank branch}}
  %t = qlr.project %x, %w : !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<32x64, q = #qlr.int<bits = 2>> -> tensor<8x16xf32>
  return
}

// -----
// project C3
func.func @f(%x: !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, %w: !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>>) {
  // expected-error @+1 {{expects a result of 8x16, got 8x8}}
  %t = qlr.project %x, %w : !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>> -> tensor<8x8xf32>
  return
}

// -----
// project C4
func.func @f(%x: !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, %w: !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>) {
  // expected-error @+1 {{expects activations rotated by 64, got 0}}
  %t = qlr.project %x, %w : !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> -> tensor<8x16xf32>
  return
}

// -----
// project C5
func.func @f(%x: !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, %w: !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4, group = 32>>) {
  // expected-error @+1 {{expects activation sums of 32, got 128}}
  %t = qlr.project %x, %w : !qlr.act<8x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4, group = 32>> -> tensor<8x16xf32>
  return
}

// -----
// expand C1
func.func @f(%y: tensor<8x64xf32>, %t: tensor<8x16xf32>, %w: !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>>) {
  // expected-error @+1 {{expects columns of y 32, got 64}}
  %z = qlr.expand %y, %t, %w : tensor<8x64xf32>, tensor<8x16xf32>, !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>>
  return
}

// -----
// expand C2
func.func @f(%y: tensor<8x32xf32>, %t: tensor<8x16xf32>, %w: !qlr.weight<32x64, q = #qlr.float<f32>>) {
  // expected-error @+1 {{expects a weight with a low-rank branch}}
  %z = qlr.expand %y, %t, %w : tensor<8x32xf32>, tensor<8x16xf32>, !qlr.weight<32x64, q = #qlr.float<f32>>
  return
}

// -----
// expand C3
func.func @f(%y: tensor<8x32xf32>, %t: tensor<8x8xf32>, %w: !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>>) {
  // expected-error @+1 {{expects columns of t 16, got 8}}
  %z = qlr.expand %y, %t, %w : tensor<8x32xf32>, tensor<8x8xf32>, !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>>
  return
}

// -----
// expand C3
func.func @f(%y: tensor<8x32xf32>, %t: tensor<1x16xf32>, %w: !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>>) {
  // expected-error @+1 {{expects tokens of t 8, got 1}}
  %z = qlr.expand %y, %t, %w : tensor<8x32xf32>, tensor<1x16xf32>, !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>>
  return
}
