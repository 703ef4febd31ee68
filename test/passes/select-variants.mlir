// RUN: qlr-opt %s --qlr-select-variants | FileCheck %s

// With few strips every item is one, so that all threads have some; with many two strips share the activations.
// CHECK-LABEL: qlr.kernel_def @narrow(
// CHECK: qlr.stage strips items 56 variant {accumulators = 4 : i64, strips = 1 : i64, tokens = 1 : i64}
qlr.kernel_def @narrow(%a: !qlr.act<1x896, block = 128, sums = 128, rotation = 0>, %w: !qlr.weight<896x896, q = #qlr.trellis<bits = 2>>) -> tensor<1x896xf32> {
  %s = qlr.stage strips items 56 {
    %y = qlr.matmul %a, %w : !qlr.act<1x896, block = 128, sums = 128, rotation = 0>, !qlr.weight<896x896, q = #qlr.trellis<bits = 2>> -> tensor<1x896xf32>
    qlr.yield %y : tensor<1x896xf32>
  } : tensor<1x896xf32>
  qlr.return %s : tensor<1x896xf32>
}

// CHECK-LABEL: qlr.kernel_def @wide(
// CHECK: qlr.stage strips items 304 variant {accumulators = 4 : i64, strips = 2 : i64, tokens = 1 : i64}
qlr.kernel_def @wide(%a: !qlr.act<1x896, block = 128, sums = 128, rotation = 0>, %w: !qlr.weight<9728x896, q = #qlr.trellis<bits = 2>>) -> tensor<1x9728xf32> {
  %s = qlr.stage strips items 608 {
    %y = qlr.matmul %a, %w : !qlr.act<1x896, block = 128, sums = 128, rotation = 0>, !qlr.weight<9728x896, q = #qlr.trellis<bits = 2>> -> tensor<1x9728xf32>
    qlr.yield %y : tensor<1x9728xf32>
  } : tensor<1x9728xf32>
  qlr.return %s : tensor<1x9728xf32>
}
