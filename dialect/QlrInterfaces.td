// What passes and code generation may ask of codecs and ops without knowing which they are.
#ifndef QLR_DIALECT_QLRINTERFACES_TD
#define QLR_DIALECT_QLRINTERFACES_TD

include "mlir/IR/OpBase.td"

def CodecAttrInterface : AttrInterface<"CodecAttrInterface"> {
  let cppNamespace = "::qlr";
  let description = [{
    How a matrix is stored. A tile is 16 rows x 4 columns. Implementations are the
    codec families; code generation attaches the decoding of a tile to the same
    attributes as an external model of an interface of its own.
  }];
  let methods = [
    InterfaceMethod<"The codec's name in checkpoints, e.g. `int4g64`.",
                    "std::string", "getCodecName">,
    InterfaceMethod<"Bits of one stored weight, without scales.",
                    "unsigned", "getBits">,
    InterfaceMethod<"Columns that share a scale; 0: one scale a row.",
                    "unsigned", "getGroup", (ins), "", "return 0;">,
    InterfaceMethod<"Bytes of a tile of 64 weights.",
                    "unsigned", "getTileBytes", (ins), "",
                    "return 8 * $_attr.getBits();">,
    InterfaceMethod<"Entries of the level table; 0: no table.",
                    "unsigned", "getLevelCount", (ins), "", "return 0;">,
    InterfaceMethod<"Bits of the activations it multiplies: 8, 16, or 0 for f32.",
                    "unsigned", "getActivationBits">,
    InterfaceMethod<[{Work to decode one weight, relative to reading it as an
                      integer; only the cost model reads it.}],
                    "double", "getCostPerWeight">,
    InterfaceMethod<"Plain rows of floats, without tiles and scales.",
                    "bool", "isPlainRows", (ins), "", "return false;">,
  ];
}

def StagedOpInterface : OpInterface<"StagedOpInterface"> {
  let cppNamespace = "::qlr";
  let description = [{
    How an op is cut into independent items when its kernel is staged. An op that
    implements it needs no mention in any pass.
  }];
  let methods = [
    InterfaceMethod<"What one item of this op is.", "::qlr::Domain", "getDomain">,
    InterfaceMethod<"Number of such items.", "int64_t", "getUnits">,
    InterfaceMethod<[{It always opens a stage; other ops join the stage that makes
                      one of their operands when the item is the same.}],
                    "bool", "isStageRoot", (ins), "", "return true;">,
    InterfaceMethod<[{Its result is a part of operand 0 and costs nothing: it is
                      copied into every stage that uses it.}],
                    "bool", "isView", (ins), "", "return false;">,
    InterfaceMethod<[{An item reads operand `index` only where the same item of the
                      op that made it has written: both fit into one stage.}],
                    "bool", "readsOwnItem", (ins "unsigned":$index), "",
                    "return index == 0;">,
  ];
}

def QlrElementwiseOpInterface : OpInterface<"QlrElementwiseOpInterface"> {
  let cppNamespace = "::qlr";
  let description = [{
    Element (m, n) of the result depends on elements (m, n) of its operands only,
    or on element m or n of the operands that are broadcast. Such ops become
    prologues of a `rotate` and epilogues of a `matmul`.
  }];
  let methods = [
    InterfaceMethod<"How operand `index` is read.", "::qlr::Broadcast",
                    "getBroadcast", (ins "unsigned":$index), "",
                    "return ::qlr::Broadcast::None;">,
  ];
}

#endif // QLR_DIALECT_QLRINTERFACES_TD
