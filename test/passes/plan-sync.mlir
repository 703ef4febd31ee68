// RUN: qlr-opt %s --qlr-plan-sync | FileCheck %s
// RUN: qlr-opt %s --qlr-plan-sync --qlr-plan-buffers | FileCheck %s --check-prefix=PLAN

!a = !qlr.act<1x256, block = 128, sums = 128, rotation = 128>
!w = !qlr.weight<256x256, q = #qlr.int<bits = 4>, rotation = 128>
!e = !qlr.weight<64x256, q = #qlr.float<f32>>
!x = tensor<1x256xf32>

qlr.weight_decl @e : !e {parts = ["e"]}
qlr.weight_decl @w : !w {parts = ["w"]}

// The counters of the largest kernel, 6 words, have the first 64 bytes to themselves; partial results are ordinary
// buffers. Both are the last arguments.
// PLAN: func.func @forward
// PLAN: qlr.launch @embed(%{{.*}}, %{{.*}}) {args = [#qlr.arg<t, 64>, #qlr.arg<w, 0>, #qlr.arg<s, 64>]
// PLAN: qlr.launch @both(%{{.*}}, %{{.*}}) {args = [#qlr.arg<s, 64>, #qlr.arg<w, {{[0-9]+}}>, #qlr.arg<w, {{[0-9]+}}>, #qlr.arg<s, 1088>, #qlr.arg<s, 2112>, #qlr.arg<s, {{[0-9]+}}>, #qlr.arg<s, 0>]
func.func @forward(%ids: tensor<1xi32>) -> !x {
  %e = qlr.weight_ref @e : !e
  %w = qlr.weight_ref @w : !w
  %x = qlr.launch @embed(%ids, %e) : (tensor<1xi32>, !e) -> !x
  %y = qlr.launch @both(%x, %w) : (!x, !w) -> !x
  return %y : !x
}

// One stage, nothing shared: blocks need not know of each other.
// CHECK-LABEL: qlr.kernel_def @embed
// CHECK-NOT: qlr.sync_words
// CHECK: qlr.stage
qlr.kernel_def @embed(%ids: tensor<1xi32>, %e: !e) -> !x {
  %s = qlr.stage tokens items 1 {
    %0 = qlr.embed %ids, %e : tensor<1xi32>, !e -> !x
    qlr.yield %0 : !x
  } : !x
  qlr.return %s : !x
}

// A stage that quantizes and one whose two strip groups are shared by two items each: ticket, exits, 2 stages, 2
// arrivals; partial results of 4 items with 8 strips each.
// CHECK-LABEL: qlr.kernel_def @both
// CHECK-SAME: attributes {qlr.partial_bytes = 2048 : i64, qlr.sync_words = 6 : i64}
qlr.kernel_def @both(%x: !x, %w: !w) -> !x {
  %r = qlr.stage blocks items 2 {
    %0 = qlr.rotate %x : !x -> !a
    qlr.yield %0 : !a
  } : !a
  %s = qlr.stage strips items 4 variant {multiply = "imma", splits = 2 : i64, strips = 8 : i64} {
    %y = qlr.matmul %r, %w : !a, !w -> !x
    qlr.yield %y : !x
  } : !x
  qlr.return %s : !x
}
