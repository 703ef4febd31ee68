// Declarations and structure: what holds graph ops, and the list of all ops.
#ifndef QLR_DIALECT_QLROPS_TD
#define QLR_DIALECT_QLROPS_TD

include "dialect/QlrGraphOps.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"

//===----------------------------------------------------------------------===//
// Declarations of parameters
//===----------------------------------------------------------------------===//

def Qlr_WeightDeclOp : Qlr_Op<"weight_decl", [Symbol, HasParent<"::mlir::ModuleOp">]> {
  let summary = "Declare a compressed matrix of the checkpoint";
  let description = [{
    `parts` names the checkpoint modules whose rows are stacked. `offsets`, once
    planned, are the arena offsets of its components in the order of
    `weightComponents` (Layout.h).

    - C1: there is one name per part of the type.
    - C2: `offsets`, when given, has one entry per component.

    ```mlir
    qlr.weight_decl @w : !qlr.weight<64x64, q = #qlr.int<bits = 4>> {parts = ["model.layers.0.self_attn.q_proj"]}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<Qlr_WeightType>:$type,
                       StrArrayAttr:$parts, OptionalAttr<DenseI64ArrayAttr>:$offsets);
  let assemblyFormat = "$sym_name `:` $type attr-dict";
  let hasVerifier = 1;
}

def Qlr_VectorDeclOp : Qlr_Op<"vector_decl", [Symbol, HasParent<"::mlir::ModuleOp">]> {
  let summary = "Declare a vector of the checkpoint";
  let description = [{
    `parts` names the checkpoint tensors that are concatenated; `kind` says how
    they become f32: a `norm` or `bias` is converted, of `signs` bit 1 is -1 and
    bit 0 is +1. `offset`, once planned, is its arena offset.

    - C1: `kind` is `norm`, `bias` or `signs`.
    - C2: there is at least one part.

    ```mlir
    qlr.vector_decl @n : tensor<64xf32> {kind = "norm", parts = ["model.norm.weight"]}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<Qlr_Vector>:$type,
                       StrArrayAttr:$parts, StrAttr:$kind, OptionalAttr<I64Attr>:$offset);
  let assemblyFormat = "$sym_name `:` $type attr-dict";
  let hasVerifier = 1;
}

def Qlr_LevelsDeclOp : Qlr_Op<"levels_decl", [Symbol, HasParent<"::mlir::ModuleOp">]> {
  let summary = "Declare a codec's level table";
  let description = [{
    Made by `qlr-plan-buffers`, one for each codec with levels in the module.

    - C1: the codec has levels.

    ```mlir
    qlr.levels_decl @levels.trellis2 : #qlr.trellis<bits = 2> {offset = 0 : i64}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, CodecAttrInterface:$codec,
                       OptionalAttr<I64Attr>:$offset);
  let assemblyFormat = "$sym_name `:` $codec attr-dict";
  let hasVerifier = 1;
}

class Qlr_RefOp<string mnemonic, Type type, string decl>
    : Qlr_Op<mnemonic, [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The value of a declaration";
  let description = [{
    - C1: the symbol is a `}] # decl # [{` of the result's type.

    ```mlir
    %v = }] # "qlr." # mnemonic # [{ @name : }]
    # !if(!eq(mnemonic, "weight_ref"), "!qlr.weight<64x64, q = #qlr.int<bits = 4>>", "tensor<64xf32>") # [{
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$symbol);
  let results = (outs type:$result);
  let assemblyFormat = "$symbol attr-dict `:` qualified(type($result))";
}
def Qlr_WeightRefOp : Qlr_RefOp<"weight_ref", Qlr_WeightType, "qlr.weight_decl">;
def Qlr_VectorRefOp : Qlr_RefOp<"vector_ref", Qlr_Vector, "qlr.vector_decl">;

//===----------------------------------------------------------------------===//
// Kernels and stages
//===----------------------------------------------------------------------===//

def Qlr_KernelOp : Qlr_Op<"kernel", [IsolatedFromAbove, RecursiveMemoryEffects,
                                     SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "Group ops that become one launch";
  let description = [{
    The region's arguments are the operands: weights, vectors, activations, the
    cache and the position. Operands and results that nothing uses, and operands
    given twice, are dropped by canonicalization.

    - C1: the region's arguments have the types of the operands.
    - C2: the values yielded have the types of the results.

    ```mlir
    %z = qlr.kernel(%x, %y) {
    ^bb0(%a: tensor<1x64xf32>, %b: tensor<1x64xf32>):
      %s = qlr.add %a, %b : tensor<1x64xf32>
      qlr.yield %s : tensor<1x64xf32>
    } : (tensor<1x64xf32>, tensor<1x64xf32>) -> tensor<1x64xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$inputs, OptionalAttr<StrAttr>:$source);
  let results = (outs Variadic<AnyType>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`(` $inputs `)` $body attr-dict `:` functional-type($inputs, $outputs)";
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def Qlr_KernelDefOp : Qlr_Op<"kernel_def", [IsolatedFromAbove, FunctionOpInterface, Symbol,
                                            HasParent<"::mlir::ModuleOp">]> {
  let summary = "Define a kernel that launches share";
  let description = [{
    Its body is a `qlr.kernel`'s; after `qlr-stage` it holds stages only. Its
    arguments at run time are, in this order: the block arguments (a weight as its
    components), the results, and the values that cross stages; results of type
    `!qlr.cache` take no argument, they are the operand's memory.

    - C1: the body is one block that ends in `qlr.return` with the result types.

    ```mlir
    qlr.kernel_def @k(%a: tensor<1x64xf32>, %b: tensor<1x64xf32>) -> tensor<1x64xf32> {
      %s = qlr.add %a, %b : tensor<1x64xf32>
      qlr.return %s : tensor<1x64xf32>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name,
                       TypeAttrOf<FunctionType>:$function_type,
                       OptionalAttr<DictArrayAttr>:$arg_attrs,
                       OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    ReturnOp getReturn();
  }];
}

def Qlr_LaunchOp : Qlr_Op<"launch", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Run a kernel";
  let description = [{
    After `qlr-plan-buffers`, `args` is the flat argument list of the kernel,
    `weight_bytes` what it reads from the weights arena, and `source` the module of
    the checkpoint it stands for.

    - C1: the symbol is a `qlr.kernel_def` of the same type.

    ```mlir
    %z = qlr.launch @k(%x, %y) : (tensor<1x64xf32>, tensor<1x64xf32>) -> tensor<1x64xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<AnyType>:$inputs,
                       OptionalAttr<TypedArrayAttrBase<Qlr_ArgAttr, "planned arguments">>:$args,
                       OptionalAttr<I64Attr>:$weight_bytes, OptionalAttr<StrAttr>:$source);
  let results = (outs Variadic<AnyType>:$outputs);
  let assemblyFormat = "$kernel `(` $inputs `)` attr-dict `:` functional-type($inputs, $outputs)";
}

def Qlr_StageOp : Qlr_Op<"stage", [RecursiveMemoryEffects, HasParent<"KernelDefOp">,
                                   SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "Run ops over independent items, then wait for all of them";
  let description = [{
    `domain` says what an item is, `items` how many there are. `variant` holds what
    `qlr-select-variants` chose: `strips` (of 16 rows, in an item), `accumulators`
    and `tokens` (at a time); on a GPU also `splits` (of the positions that
    attention reads).

    - C1: `items` is positive.
    - C2: the block has no arguments.
    - C3: the values yielded have the types of the results.

    ```mlir
    %s = qlr.stage tokens items 8 {
      %0 = qlr.rms_stat %x {eps = 1.0e-6 : f64} : tensor<8x64xf32> -> tensor<8xf32>
      qlr.yield %0 : tensor<8xf32>
    } : tensor<8xf32>
    ```
  }];
  let arguments = (ins Qlr_DomainAttr:$domain, I64Attr:$items,
                       OptionalAttr<DictionaryAttr>:$variant);
  let results = (outs Variadic<AnyType>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $domain `items` $items (`variant` $variant^)? $body attr-dict (`:` type($outputs)^)?
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Entry `name` of the variant, or `otherwise` where nothing was chosen.
    int64_t getVariantValue(::llvm::StringRef name, int64_t otherwise);
    YieldOp getYield();
  }];
}

class Qlr_TerminatorOp<string mnemonic, list<Trait> traits>
    : Qlr_Op<mnemonic, !listconcat([Pure, Terminator, ReturnLike], traits)> {
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
  let builders = [OpBuilder<(ins), "build($_builder, $_state, ::mlir::ValueRange());">];
}

def Qlr_YieldOp : Qlr_TerminatorOp<"yield", [ParentOneOf<["KernelOp", "StageOp"]>]> {
  let summary = "End a kernel's or a stage's region with its results";
  let description = [{
    ```mlir
    qlr.yield %s : tensor<1x64xf32>
    ```
  }];
}

def Qlr_ReturnOp : Qlr_TerminatorOp<"return", [HasParent<"KernelDefOp">]> {
  let summary = "End a shared kernel with its results";
  let description = [{
    ```mlir
    qlr.return %s : tensor<1x64xf32>
    ```
  }];
}

#endif // QLR_DIALECT_QLROPS_TD
