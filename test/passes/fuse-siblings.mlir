// RUN: qlr-opt %s --qlr-fuse-siblings | FileCheck %s

!x = !qlr.act<8x64, block = 128, sums = 128, rotation = 64>
!q = !qlr.weight<64x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
!k = !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>

// CHECK: qlr.weight_decl @attn.q.k : !qlr.weight<96x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64, parts = [64, 32]> {parts = ["attn.q", "attn.k"]}
// CHECK-NEXT: qlr.vector_decl @attn.q.k.bias : tensor<96xf32> {kind = "bias", parts = ["attn.q.bias", "attn.k.bias"]}
qlr.weight_decl @attn.q : !q {parts = ["attn.q"]}
qlr.weight_decl @attn.k : !k {parts = ["attn.k"]}
qlr.vector_decl @attn.q.bias : tensor<64xf32> {kind = "bias", parts = ["attn.q.bias"]}
qlr.vector_decl @attn.k.bias : tensor<32xf32> {kind = "bias", parts = ["attn.k.bias"]}

// CHECK-LABEL: func.func @siblings
// CHECK-SAME: (%[[X:.*]]: !qlr.act
func.func @siblings(%x: !x) -> (tensor<8x64xf32>, tensor<8x32xf32>) {
  // CHECK: %[[W:.*]] = qlr.weight_ref @attn.q.k
  // CHECK: %[[B:.*]] = qlr.vector_ref @attn.q.k.bias
  // CHECK: %[[Y:.*]] = qlr.linear %[[X]], %[[W]], %[[B]] {{.*}} -> tensor<8x96xf32>
  // CHECK: %[[Q:.*]] = qlr.slice %[[Y]] {offset = 0 : i64} : tensor<8x96xf32> -> tensor<8x64xf32>
  // CHECK: %[[K:.*]] = qlr.slice %[[Y]] {offset = 64 : i64} : tensor<8x96xf32> -> tensor<8x32xf32>
  // CHECK: return %[[Q]], %[[K]]
  %wq = qlr.weight_ref @attn.q : !q
  %bq = qlr.vector_ref @attn.q.bias : tensor<64xf32>
  %q = qlr.linear %x, %wq, %bq : !x, !q, tensor<64xf32> -> tensor<8x64xf32>
  %wk = qlr.weight_ref @attn.k : !k
  %bk = qlr.vector_ref @attn.k.bias : tensor<32xf32>
  %k = qlr.linear %x, %wk, %bk : !x, !k, tensor<32xf32> -> tensor<8x32xf32>
  return %q, %k : tensor<8x64xf32>, tensor<8x32xf32>
}
