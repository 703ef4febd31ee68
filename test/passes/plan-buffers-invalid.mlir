// RUN: qlr-opt %s --qlr-plan-buffers -split-input-file -verify-diagnostics

!x = tensor<1x64xf32>
qlr.kernel_def @k(%a: !x) -> !x {
  %s = qlr.stage tokens items 1 {
    %0 = qlr.add %a, %a : !x
    qlr.yield %0 : !x
  } : !x
  qlr.return %s : !x
}
func.func @f(%x: !x) -> !x {
  // expected-error @+1 {{has an operand without an address}}
  %y = qlr.launch @k(%x) : (!x) -> !x
  return %y : !x
}

// -----
// expected-error @+1 {{expects to return the result of a launch}}
func.func @f(%x: tensor<1x64xf32>) -> tensor<1x64xf32> {
  return %x : tensor<1x64xf32>
}

// -----
// expected-error @+1 {{expects to return the logits}}
func.func @f(%x: tensor<1x64xf32>) {
  return
}
