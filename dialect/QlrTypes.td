// Types that are not plain tensors: weights, quantized activations, the cache.
#ifndef QLR_DIALECT_QLRTYPES_TD
#define QLR_DIALECT_QLRTYPES_TD

include "dialect/QlrAttrs.td"

def Qlr_WeightType : Qlr_Type<"Weight", "weight"> {
  let summary = "A compressed matrix with its optional low-rank branch";
  let description = [{
    `rows x columns`, stored with codec `q`. With `rank` r > 0 there are factors
    L (rows x r) and R (r x columns), stored with codec `factors`. `rotation` is
    the Hadamard block its input was rotated with (0: not rotated). A matrix made
    of stacked siblings lists their rows in `parts`: every part has its own R, all
    stacked with each padded to 16 rows, and L is block-diagonal.

    - C1: rows and columns are positive.
    - C2: `rank` and `factors` are given together, or neither is.
    - C3: `factors` is not a codec of plain rows.
    - C4: a matrix of plain rows has no low-rank branch and no rotation.
    - C5: `rotation` is 0 or a power of two up to 128 that divides the columns.
    - C6: `parts`, when given, are at least two, positive, and sum to the rows.
    - C7: every part but the last is a multiple of 16 rows.

    ```mlir
    !qlr.weight<896x896, q = #qlr.trellis<bits = 2>, rank = 32, factors = #qlr.int<bits = 4>, rotation = 128>
    !qlr.weight<1152x896, q = #qlr.int<bits = 4, group = 64>, parts = [896, 128, 128]>
    ```
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns,
                        "::qlr::CodecAttrInterface":$q, "int64_t":$rank,
                        "::qlr::CodecAttrInterface":$factors,
                        "int64_t":$rotation, ArrayRefParameter<"int64_t">:$parts);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    int64_t numParts() const { return getParts().empty() ? 1 : getParts().size(); }
    /// Strips of 16 rows.
    int64_t numStrips() const { return (getRows() + 15) / 16; }
    /// Tiles of 4 columns in a strip.
    int64_t numColumnTiles() const { return (getColumns() + 3) / 4; }
    /// Columns of t = R x': every part's rank padded to 16.
    int64_t projectedColumns() const { return numParts() * ((getRank() + 15) / 16 * 16); }
    /// Columns an activation sum covers for this weight: the smallest group of its codecs, or 128.
    int64_t sumColumns() const;
    /// Multiplies f32 activations.
    bool takesFloat() const { return getQ().getActivationBits() == 0; }
  }];
}

def Qlr_ActType : Qlr_Type<"Act", "act"> {
  let summary = "Quantized (and possibly rotated) activations";
  let description = [{
    `tokens x columns` as 16-bit integers, split into a high and a low byte, with
    one f32 scale per token and `block` columns, and per token the integer sums of
    every `sums` columns.

    - C1: tokens and columns are positive.
    - C2: `block` is 128.
    - C3: `sums` is 32, 64 or 128.
    - C4: `rotation` is 0 or a power of two up to 128 that divides the columns.

    ```mlir
    !qlr.act<8x896, block = 128, sums = 128, rotation = 128>
    ```
  }];
  let parameters = (ins "int64_t":$tokens, "int64_t":$columns, "int64_t":$block,
                        "int64_t":$sums, "int64_t":$rotation);
  let assemblyFormat = [{
    `<` custom<Shape>($tokens, $columns) `,` `block` `=` $block `,` `sums` `=` $sums
    `,` `rotation` `=` $rotation `>`
  }];
  let genVerifyDecl = 1;
}

def Qlr_CacheType : Qlr_Type<"Cache", "cache"> {
  let summary = "Keys and values of the tokens so far";
  let description = [{
    Layers, key/value heads, head dimension, element type. The number of positions
    is chosen when the artifact is loaded.

    - C1: layers, heads and head dimension are positive.
    - C2: the element type is bf16 or f32.

    ```mlir
    !qlr.cache<24, 2, 64, bf16>
    ```
  }];
  let parameters = (ins "int64_t":$layers, "int64_t":$kvHeads, "int64_t":$headDim,
                        "::mlir::Type":$elementType);
  let assemblyFormat = "`<` $layers `,` $kvHeads `,` $headDim `,` $elementType `>`";
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Operand constraints
//===----------------------------------------------------------------------===//

class Qlr_StaticTensor<Type element, int rank, string summary>
    : Type<And<[TensorRankOf<[element], [rank]>.predicate, HasStaticShapePred]>,
           summary, "::mlir::RankedTensorType">;

def Qlr_Matrix : Qlr_StaticTensor<F32, 2, "f32 tokens x columns">;
def Qlr_Vector : Qlr_StaticTensor<F32, 1, "f32 vector">;
def Qlr_Ids : Qlr_StaticTensor<I32, 1, "i32 token ids">;
def Qlr_Position : Qlr_StaticTensor<I32, 0, "i32 position">,
    BuildableType<"::mlir::RankedTensorType::get({}, $_builder.getIntegerType(32))">;
def Qlr_Input : AnyTypeOf<[Qlr_Matrix, Qlr_ActType], "f32 or quantized activations">;

#endif // QLR_DIALECT_QLRTYPES_TD
