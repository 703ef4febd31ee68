func.func @f(%x: tensor<1x64xf32>) -> tensor<1x64xf32> {
  %0 = qlr.swiglu %x, %x : tensor<1x64xf32>
  return %0 : tensor<1x64xf32>
}
func.func @g(%x: tensor<1x64xf32>) -> tensor<1x64xf32> {
  %1 = qlr.add %x, %x : tensor<1x64xf32>
  return %1 : tensor<1x64xf32>
}
