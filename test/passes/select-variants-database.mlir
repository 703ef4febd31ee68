// The tuning database wins over the cost model; stages with a variant keep it.
// RUN: qlr-opt %s --qlr-select-variants=tune-db=%S/Inputs/tuning.json | FileCheck %s
// RUN: qlr-opt %s --qlr-select-variants | FileCheck %s --check-prefix=MODEL
// RUN: not qlr-opt %s --qlr-select-variants=tune-db=%S/Inputs/missing.json 2>&1 | FileCheck %s --check-prefix=MISSING
// RUN: not qlr-opt %s --qlr-select-variants=tune-db=%S/Inputs/tuning-broken.json 2>&1 | FileCheck %s --check-prefix=BROKEN
// MISSING: missing.json: No such file or directory
// BROKEN: tuning-broken.json: variant 0: expects codec, strips_total, columns and tokens_total, numbers positive

!a = !qlr.act<1x64, block = 128, sums = 128, rotation = 0>
!w = !qlr.weight<64x64, q = #qlr.int<bits = 2>>

// CHECK-LABEL: qlr.kernel_def @measured(
// CHECK: qlr.stage strips items 2 variant {accumulators = 1 : i64, strips = 2 : i64, tokens = 1 : i64}
// MODEL-LABEL: qlr.kernel_def @measured(
// MODEL: qlr.stage strips items 4 variant {accumulators = 4 : i64, strips = 1 : i64, tokens = 1 : i64}
qlr.kernel_def @measured(%a: !a, %w: !w) -> tensor<1x64xf32> {
  %s = qlr.stage strips items 4 {
    %y = qlr.matmul %a, %w : !a, !w -> tensor<1x64xf32>
    qlr.yield %y : tensor<1x64xf32>
  } : tensor<1x64xf32>
  qlr.return %s : tensor<1x64xf32>
}

// CHECK-LABEL: qlr.kernel_def @given(
// CHECK: qlr.stage strips items 1 variant {strips = 4 : i64}
qlr.kernel_def @given(%a: !a, %w: !w) -> tensor<1x64xf32> {
  %s = qlr.stage strips items 1 variant {strips = 4 : i64} {
    %y = qlr.matmul %a, %w : !a, !w -> tensor<1x64xf32>
    qlr.yield %y : tensor<1x64xf32>
  } : tensor<1x64xf32>
  qlr.return %s : tensor<1x64xf32>
}
