// Attributes and types survive printing and parsing; defaults are left out.
// RUN: qlr-opt %s | qlr-opt | FileCheck %s

// CHECK-LABEL: func.func private @codecs
func.func private @codecs() attributes {
  // CHECK-SAME: a = #qlr.int<bits = 4>, b = #qlr.int<bits = 4, group = 64>, c = #qlr.trellis<bits = 2>
  // CHECK-SAME: d = #qlr.trellis<bits = 2, window = 8>, e = #qlr.float<bf16>, f = #qlr.float<f32>
  // CHECK-SAME: g = #qlr.arg<w, 4096>
  a = #qlr.int<bits = 4>,
  b = #qlr.int<bits = 4, group = 64>,
  c = #qlr.trellis<bits = 2, window = 7>,
  d = #qlr.trellis<bits = 2, window = 8>,
  e = #qlr.float<bf16>,
  f = #qlr.float<f32>,
  g = #qlr.arg<w, 4096>
}

// CHECK-LABEL: func.func private @weights
func.func private @weights(
  // CHECK-SAME: !qlr.weight<896x896, q = #qlr.trellis<bits = 2>, rank = 32, factors = #qlr.int<bits = 4>, rotation = 128>
  !qlr.weight<896x896, q = #qlr.trellis<bits = 2>, rank = 32, factors = #qlr.int<bits = 4>, rotation = 128>,
  // CHECK-SAME: !qlr.weight<1152x896, q = #qlr.int<bits = 4, group = 64>, parts = [896, 128, 128]>
  !qlr.weight<1152x896, q = #qlr.int<bits = 4, group = 64>, parts = [896, 128, 128]>
)

// CHECK-LABEL: func.func private @others
func.func private @others(
  // CHECK-SAME: !qlr.act<8x896, block = 128, sums = 128, rotation = 128>
  !qlr.act<8x896, block = 128, sums = 128, rotation = 128>,
  // CHECK-SAME: !qlr.cache<24, 2, 64, bf16>
  !qlr.cache<24, 2, 64, bf16>
)
