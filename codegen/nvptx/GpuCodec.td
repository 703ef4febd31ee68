// What a codec attribute offers GPU kernels. Attached to the codec families as an external model (<Family>GpuCodec.cpp).
#ifndef QLR_CODEGEN_NVPTX_GPUCODEC_TD
#define QLR_CODEGEN_NVPTX_GPUCODEC_TD

include "mlir/IR/OpBase.td"

def GpuCodecInterface : AttrInterface<"GpuCodecInterface"> {
  let cppNamespace = "::qlr";
  let description = [{
    Emits the decoding of a tile for a GPU: one row of a tile to one register of four
    int8, or to two of two f16.
  }];
  let methods = [
    InterfaceMethod<[{A decoder for one codec of one kernel; `decode` is a name the
                      variant gives (lut4, lut2, lut2x32, alu), or empty for the
                      codec's own choice. Null when the codec does not know it.}],
                    "::std::unique_ptr<::qlr::GpuTileDecoder>", "createGpuTileDecoder",
                    (ins "::llvm::StringRef":$decode)>,
  ];
}

#endif // QLR_CODEGEN_NVPTX_GPUCODEC_TD
