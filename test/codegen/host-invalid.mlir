// What the host cannot lower is said at the op.
// RUN: qlr-opt %s --split-input-file --verify-diagnostics --qlr-lower-to-host=levels=avx2

qlr.kernel_def @two_products(%x: tensor<1x64xf32>, %w: !qlr.weight<32x64, q = #qlr.float<f32>>) -> tensor<1x32xf32> {
  %0 = qlr.stage strips items 2 {
    %1 = qlr.matmul %x, %w : tensor<1x64xf32>, !qlr.weight<32x64, q = #qlr.float<f32>> -> tensor<1x32xf32>
    // expected-error @below {{is the second product of a stage; the host lowers one}}
    %2 = qlr.matmul %x, %w : tensor<1x64xf32>, !qlr.weight<32x64, q = #qlr.float<f32>> -> tensor<1x32xf32>
    %3 = qlr.add %1, %2 : tensor<1x32xf32>
    qlr.yield %3 : tensor<1x32xf32>
  } : tensor<1x32xf32>
  qlr.return %0 : tensor<1x32xf32>
}

// -----

qlr.kernel_def @norm_inside(%x: tensor<1x64xf32>, %w: tensor<64xf32>) -> tensor<1x64xf32> {
  %0 = qlr.stage blocks items 1 {
    // expected-error @below {{has no host lowering inside a stage of blocks}}
    %1 = qlr.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<1x64xf32>, tensor<64xf32>
    qlr.yield %1 : tensor<1x64xf32>
  } : tensor<1x64xf32>
  qlr.return %0 : tensor<1x64xf32>
}

// -----

qlr.kernel_def @nothing_to_do(%x: tensor<1x64xf32>) -> tensor<1x64xf32> {
  // expected-error @below {{over strips has neither a product nor an expansion}}
  %0 = qlr.stage strips items 4 {
    %1 = qlr.add %x, %x : tensor<1x64xf32>
    qlr.yield %1 : tensor<1x64xf32>
  } : tensor<1x64xf32>
  qlr.return %0 : tensor<1x64xf32>
}
