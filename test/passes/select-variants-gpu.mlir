// RUN: qlr-opt %s --qlr-select-variants=machine=gpu | FileCheck %s --check-prefixes=CHECK,MODEL
// RUN: qlr-opt %s --qlr-select-variants="machine=gpu multiply=dp4a decode=lut2 splits=3" | FileCheck %s --check-prefixes=CHECK,WISH
// RUN: qlr-opt %s --qlr-select-variants="machine=gpu multiply=hmma" | FileCheck %s --check-prefix=HMMA
// RUN: qlr-opt %s --qlr-select-variants="machine=gpu tune-db=%S/Inputs/tuning-gpu.json" | FileCheck %s --check-prefixes=CHECK,TUNED
// RUN: qlr-opt %s --qlr-select-variants="machine=gpu splits=3 tune-db=%S/Inputs/tuning-gpu.json" | FileCheck %s --check-prefix=BOTH
// RUN: not qlr-opt %s --qlr-select-variants="machine=gpu tune-db=%S/Inputs/tuning-gpu-broken.json" 2>&1 | FileCheck %s --check-prefix=BROKEN
// BROKEN: tuning-gpu-broken.json: variant 1: expects multiply of dp4a, imma, hmma; decode of lut4, lut2, lut2x32; splits positive
// RUN: not qlr-opt %s --qlr-select-variants=machine=tpu 2>&1 | FileCheck %s --check-prefix=WRONG
// WRONG: error: expects machine host or gpu, got tpu

!a = !qlr.act<1x4096, block = 128, sums = 128, rotation = 128>
!w = !qlr.weight<4096x4096, q = #qlr.trellis<bits = 2>, rotation = 128>
!a128 = !qlr.act<128x4096, block = 128, sums = 128, rotation = 128>
!wide = !qlr.weight<65536x4096, q = #qlr.trellis<bits = 2>, rotation = 128>
!rows = !qlr.weight<4096x4096, q = #qlr.float<bf16>>

// 32 strip groups are too few for a large card: four items share one, eight blocks of columns each.
// CHECK-LABEL: qlr.kernel_def @one(
// MODEL: qlr.stage strips items 128 variant {multiply = "imma", splits = 4 : i64, strips = 8 : i64}
// WISH: qlr.stage strips items 192 variant {decode = "lut2", multiply = "dp4a", splits = 3 : i64, strips = 4 : i64}
// HMMA: qlr.stage strips items 128 variant {decode = "lut2", multiply = "hmma", splits = 4 : i64, strips = 8 : i64}
// TUNED: qlr.stage strips items 64 variant {decode = "lut2x32", multiply = "hmma", splits = 2 : i64, strips = 8 : i64}
// BOTH: qlr.stage strips items 96 variant {decode = "lut2x32", multiply = "hmma", splits = 3 : i64, strips = 8 : i64}
qlr.kernel_def @one(%x: !a, %w: !w) -> tensor<1x4096xf32> {
  %s = qlr.stage strips items 256 {
    %y = qlr.matmul %x, %w : !a, !w -> tensor<1x4096xf32>
    qlr.yield %y : tensor<1x4096xf32>
  } : tensor<1x4096xf32>
  qlr.return %s : tensor<1x4096xf32>
}

// Many tokens: int8 tensor cores whatever was asked for, and the small table, because shared memory is for tiles.
// CHECK-LABEL: qlr.kernel_def @many(
// MODEL: qlr.stage strips items 512 variant {decode = "lut2", multiply = "imma", splits = 1 : i64, strips = 8 : i64}
// TUNED: qlr.stage strips items 1024 variant {decode = "lut2", multiply = "imma", splits = 2 : i64, strips = 8 : i64}
// WISH: qlr.stage strips items 1536 variant {decode = "lut2", multiply = "imma", splits = 3 : i64, strips = 8 : i64}
qlr.kernel_def @many(%x: !a128, %w: !wide) -> tensor<128x65536xf32> {
  %s = qlr.stage strips items 4096 {
    %y = qlr.matmul %x, %w : !a128, !wide -> tensor<128x65536xf32>
    qlr.yield %y : tensor<128x65536xf32>
  } : tensor<128x65536xf32>
  qlr.return %s : tensor<128x65536xf32>
}

// CHECK-LABEL: qlr.kernel_def @rows(
// CHECK: qlr.stage strips items 128 variant {splits = 1 : i64, strips = 2 : i64}
qlr.kernel_def @rows(%x: tensor<1x4096xf32>, %w: !rows) -> tensor<1x4096xf32> {
  %s = qlr.stage strips items 256 {
    %y = qlr.matmul %x, %w : tensor<1x4096xf32>, !rows -> tensor<1x4096xf32>
    qlr.yield %y : tensor<1x4096xf32>
  } : tensor<1x4096xf32>
  qlr.return %s : tensor<1x4096xf32>
}

// Positions are split too: 8 key/value heads of one token alone would leave most of a card idle.
// CHECK-LABEL: qlr.kernel_def @attend(
// MODEL: qlr.stage heads items 64 variant {splits = 16 : i64}
// TUNED: qlr.stage heads items 64 variant {splits = 16 : i64}
// WISH: qlr.stage heads items 64 variant {splits = 3 : i64}
qlr.kernel_def @attend(%q: tensor<1x8192xf32>, %c: !qlr.cache<1, 8, 128, bf16>, %p: tensor<i32>) -> tensor<1x8192xf32> {
  %s = qlr.stage heads items 64 {
    %y = qlr.attention %q, %c, %p {head_dim = 128 : i64, heads = 64 : i64, kv_heads = 8 : i64} : tensor<1x8192xf32>, !qlr.cache<1, 8, 128, bf16>
    qlr.yield %y : tensor<1x8192xf32>
  } : tensor<1x8192xf32>
  qlr.return %s : tensor<1x8192xf32>
}
