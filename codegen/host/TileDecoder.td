// What a codec attribute offers host kernels. Attached to the codec families as an external model (<Family>HostCodec.cpp).
#ifndef QLR_CODEGEN_HOST_TILEDECODER_TD
#define QLR_CODEGEN_HOST_TILEDECODER_TD

include "mlir/IR/OpBase.td"

def HostCodecInterface : AttrInterface<"HostCodecInterface"> {
  let cppNamespace = "::qlr";
  let description = [{
    Emits the decoding of a tile for the host: one tile to 64 int8 lanes.
  }];
  let methods = [
    InterfaceMethod<"A decoder for one weight of one kernel.",
                    "::std::unique_ptr<::qlr::TileDecoder>", "createTileDecoder">,
  ];
}

#endif // QLR_CODEGEN_HOST_TILEDECODER_TD
