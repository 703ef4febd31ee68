// The qlr dialect: what it is, and the base classes of its attributes, types and ops.
#ifndef QLR_DIALECT_QLR_TD
#define QLR_DIALECT_QLR_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"

def Qlr_Dialect : Dialect {
  let name = "qlr";
  let cppNamespace = "::qlr";
  let summary = "Compressed Qwen2 models, from the model graph to planned kernels";
  let description = [{
    A forward pass over `M` tokens is a `func.func` of graph ops with tensor
    semantics. Weights are opaque values of type `!qlr.weight`; the position and
    the token ids are tensors, so one function serves every step. Passes group
    graph ops into kernels, kernels into stages, and give every value that
    crosses a stage an address; the ops inside stay the same graph ops, so the IR
    can be edited and continued at every level.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let extraClassDeclaration = [{
    void registerAttributes();
    void registerTypes();
    void registerOps();
  }];
}

class Qlr_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Qlr_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

class Qlr_Type<string name, string typeMnemonic, list<Trait> traits = []>
    : TypeDef<Qlr_Dialect, name, traits> {
  let mnemonic = typeMnemonic;
}

class Qlr_Op<string mnemonic, list<Trait> traits = []>
    : Op<Qlr_Dialect, mnemonic, traits>;

#endif // QLR_DIALECT_QLR_TD
