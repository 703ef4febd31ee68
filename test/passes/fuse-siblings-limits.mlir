// What is not stacked, and declarations shared by functions.
// RUN: qlr-opt %s --qlr-fuse-siblings | FileCheck %s

!x = !qlr.act<8x64, block = 128, sums = 128, rotation = 0>
!one = !qlr.act<1x64, block = 128, sums = 128, rotation = 0>
!a = !qlr.weight<64x64, q = #qlr.int<bits = 2>>
!b = !qlr.weight<64x64, q = #qlr.int<bits = 3>>
!odd = !qlr.weight<24x64, q = #qlr.int<bits = 4>>
!f = !qlr.weight<16x64, q = #qlr.float<f32>>

// CHECK-DAG: qlr.weight_decl @m.a :
// CHECK-DAG: qlr.weight_decl @m.b :
qlr.weight_decl @m.a : !a {parts = ["m.a"]}
qlr.weight_decl @m.b : !b {parts = ["m.b"]}
qlr.vector_decl @m.bias : tensor<64xf32> {kind = "bias", parts = ["m.bias"]}
// The first part is not a multiple of 16 rows.
// CHECK-DAG: qlr.weight_decl @m.odd1 :
// CHECK-DAG: qlr.weight_decl @m.odd2 :
qlr.weight_decl @m.odd1 : !odd {parts = ["m.odd1"]}
qlr.weight_decl @m.odd2 : !odd {parts = ["m.odd2"]}
// Stacked once for two functions.
// CHECK-DAG: qlr.weight_decl @m.f.g : !qlr.weight<32x64, q = #qlr.float<f32>, parts = [16, 16]>
// CHECK-NOT: qlr.weight_decl
qlr.weight_decl @m.f : !f {parts = ["m.f"]}
qlr.weight_decl @m.g : !f {parts = ["m.g"]}

// CHECK-LABEL: func.func @different_codecs
func.func @different_codecs(%x: !x) -> (tensor<8x64xf32>, tensor<8x64xf32>) {
  // CHECK-COUNT-2: qlr.linear
  // CHECK-NOT: qlr.slice
  %wa = qlr.weight_ref @m.a : !a
  %a = qlr.linear %x, %wa : !x, !a -> tensor<8x64xf32>
  %wb = qlr.weight_ref @m.b : !b
  %b = qlr.linear %x, %wb : !x, !b -> tensor<8x64xf32>
  return %a, %b : tensor<8x64xf32>, tensor<8x64xf32>
}

// CHECK-LABEL: func.func @one_bias
func.func @one_bias(%x: !x) -> (tensor<8x64xf32>, tensor<8x64xf32>) {
  // CHECK-COUNT-2: qlr.linear
  // CHECK-NOT: qlr.slice
  %w = qlr.weight_ref @m.a : !a
  %bias = qlr.vector_ref @m.bias : tensor<64xf32>
  %a = qlr.linear %x, %w : !x, !a -> tensor<8x64xf32>
  %b = qlr.linear %x, %w, %bias : !x, !a, tensor<64xf32> -> tensor<8x64xf32>
  return %a, %b : tensor<8x64xf32>, tensor<8x64xf32>
}

// CHECK-LABEL: func.func @odd_rows
func.func @odd_rows(%x: !x) -> (tensor<8x24xf32>, tensor<8x24xf32>) {
  // CHECK-COUNT-2: qlr.linear
  // CHECK-NOT: qlr.slice
  %w1 = qlr.weight_ref @m.odd1 : !odd
  %a = qlr.linear %x, %w1 : !x, !odd -> tensor<8x24xf32>
  %w2 = qlr.weight_ref @m.odd2 : !odd
  %b = qlr.linear %x, %w2 : !x, !odd -> tensor<8x24xf32>
  return %a, %b : tensor<8x24xf32>, tensor<8x24xf32>
}

// CHECK-LABEL: func.func @other_inputs
func.func @other_inputs(%x: !x, %y: !x) -> (tensor<8x64xf32>, tensor<8x64xf32>) {
  // CHECK-COUNT-2: qlr.linear
  // CHECK-NOT: qlr.slice
  %w = qlr.weight_ref @m.a : !a
  %a = qlr.linear %x, %w : !x, !a -> tensor<8x64xf32>
  %b = qlr.linear %y, %w : !x, !a -> tensor<8x64xf32>
  return %a, %b : tensor<8x64xf32>, tensor<8x64xf32>
}

// CHECK-LABEL: func.func @prefill
func.func @prefill(%x: tensor<8x64xf32>) -> (tensor<8x16xf32>, tensor<8x16xf32>) {
  // CHECK: qlr.weight_ref @m.f.g
  // CHECK: qlr.linear {{.*}} -> tensor<8x32xf32>
  %wf = qlr.weight_ref @m.f : !f
  %f = qlr.linear %x, %wf : tensor<8x64xf32>, !f -> tensor<8x16xf32>
  %wg = qlr.weight_ref @m.g : !f
  %g = qlr.linear %x, %wg : tensor<8x64xf32>, !f -> tensor<8x16xf32>
  return %f, %g : tensor<8x16xf32>, tensor<8x16xf32>
}

// CHECK-LABEL: func.func @decode
func.func @decode(%x: tensor<1x64xf32>) -> (tensor<1x16xf32>, tensor<1x16xf32>) {
  // CHECK: qlr.weight_ref @m.f.g
  // CHECK: qlr.linear {{.*}} -> tensor<1x32xf32>
  %wf = qlr.weight_ref @m.f : !f
  %f = qlr.linear %x, %wf : tensor<1x64xf32>, !f -> tensor<1x16xf32>
  %wg = qlr.weight_ref @m.g : !f
  %g = qlr.linear %x, %wg : tensor<1x64xf32>, !f -> tensor<1x16xf32>
  return %f, %g : tensor<1x16xf32>, tensor<1x16xf32>
}
