// Graph ops: the arithmetic of a Qwen2 forward pass, before and inside kernels.
#ifndef QLR_DIALECT_QLRGRAPHOPS_TD
#define QLR_DIALECT_QLRGRAPHOPS_TD

include "dialect/QlrTypes.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

/// A pure op that knows how it is staged.
class Qlr_GraphOp<string mnemonic, list<Trait> traits = []>
    : Qlr_Op<mnemonic, !listconcat([Pure, StagedOpInterface], traits)> {
  code stagedMethods = [{
    ::qlr::Domain getDomain();
    int64_t getUnits();
  }];
  let extraClassDeclaration = stagedMethods;
}

/// An elementwise op: staged by blocks of columns unless another op takes it in.
class Qlr_ElementwiseOp<string mnemonic, list<Trait> traits = []>
    : Qlr_GraphOp<mnemonic, !listconcat([QlrElementwiseOpInterface], traits)> {
  code elementwiseMethods = stagedMethods # [{
    bool isStageRoot() { return false; }
    bool readsOwnItem(unsigned index) { return getBroadcast(index) == ::qlr::Broadcast::None; }
  }];
  let extraClassDeclaration = elementwiseMethods;
}

//===----------------------------------------------------------------------===//
// Rows of tokens
//===----------------------------------------------------------------------===//

def Qlr_EmbedOp : Qlr_GraphOp<"embed"> {
  let summary = "Look up the embedding rows of token ids";
  let description = [{
    `result[m, :] = weight[ids[m], :]`.

    - C1: the result is tokens x the weight's columns.
    - C2: the weight has no low-rank branch and no rotation.

    ```mlir
    %x = qlr.embed %ids, %w : tensor<8xi32>, !qlr.weight<512x64, q = #qlr.float<bf16>> -> tensor<8x64xf32>
    ```
  }];
  let arguments = (ins Qlr_Ids:$ids, Qlr_WeightType:$weight);
  let results = (outs Qlr_Matrix:$result);
  let assemblyFormat = "$ids `,` $weight attr-dict `:` type($ids) `,` qualified(type($weight)) `->` type($result)";
  let hasVerifier = 1;
}

def Qlr_LastTokenOp : Qlr_GraphOp<"last_token"> {
  let summary = "Take the last row";
  let description = [{
    `result[0, :] = x[M-1, :]`. Of a single token it is `x` itself (folded).

    - C1: the result is one token of the same columns.

    ```mlir
    %l = qlr.last_token %x : tensor<8x64xf32> -> tensor<1x64xf32>
    ```
  }];
  let arguments = (ins Qlr_Matrix:$x);
  let results = (outs Qlr_Matrix:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Normalization, rotation
//===----------------------------------------------------------------------===//

def Qlr_RmsNormOp : Qlr_GraphOp<"rms_norm", [AllTypesMatch<["x", "result"]>]> {
  let summary = "Normalize every token by its root mean square";
  let description = [{
    `result[m, n] = x[m, n] * weight[n] / sqrt(mean_n(x[m, n]^2) + eps)`.
    Decomposed into `rms_stat` and `norm_apply` before kernels are formed.

    - C1: `weight` has one element a column.
    - C2: `eps` is positive.

    ```mlir
    %n = qlr.rms_norm %x, %w {eps = 1.0e-6 : f64} : tensor<8x64xf32>, tensor<64xf32>
    ```
  }];
  let arguments = (ins Qlr_Matrix:$x, Qlr_Vector:$weight, F64Attr:$eps);
  let results = (outs Qlr_Matrix:$result);
  let assemblyFormat = "$x `,` $weight attr-dict `:` type($x) `,` type($weight)";
  let hasVerifier = 1;
}

def Qlr_RmsStatOp : Qlr_GraphOp<"rms_stat"> {
  let summary = "Compute every token's reciprocal root mean square";
  let description = [{
    `result[m] = 1 / sqrt(mean_n(x[m, n]^2) + eps)`.

    - C1: the result has one element a token.
    - C2: `eps` is positive.

    ```mlir
    %s = qlr.rms_stat %x {eps = 1.0e-6 : f64} : tensor<8x64xf32> -> tensor<8xf32>
    ```
  }];
  let arguments = (ins Qlr_Matrix:$x, F64Attr:$eps);
  let results = (outs Qlr_Vector:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def Qlr_NormApplyOp : Qlr_ElementwiseOp<"norm_apply", [AllTypesMatch<["x", "result"]>]> {
  let summary = "Scale rows by a statistic and columns by a vector";
  let description = [{
    `result[m, n] = x[m, n] * stat[m] * weight[n]`.

    - C1: `stat` has one element a token.
    - C2: `weight` has one element a column.

    ```mlir
    %n = qlr.norm_apply %x, %s, %w : tensor<8x64xf32>, tensor<8xf32>, tensor<64xf32>
    ```
  }];
  let arguments = (ins Qlr_Matrix:$x, Qlr_Vector:$stat, Qlr_Vector:$weight);
  let results = (outs Qlr_Matrix:$result);
  let assemblyFormat = "$x `,` $stat `,` $weight attr-dict `:` type($x) `,` type($stat) `,` type($weight)";
  let hasVerifier = 1;
  let extraClassDeclaration = elementwiseMethods # [{
    ::qlr::Broadcast getBroadcast(unsigned index) {
      return index == 0   ? ::qlr::Broadcast::None
             : index == 1 ? ::qlr::Broadcast::Columns
                          : ::qlr::Broadcast::Rows;
    }
  }];
}

def Qlr_ScaleColumnsOp : Qlr_ElementwiseOp<"scale_columns", [AllTypesMatch<["x", "result"]>]> {
  let summary = "Multiply every token by a vector";
  let description = [{
    `result[m, n] = x[m, n] * weight[n]`: what `qlr-defer-norm` leaves of a norm
    before the product.

    - C1: `weight` has one element a column.

    ```mlir
    %c = qlr.scale_columns %x, %w : tensor<8x64xf32>, tensor<64xf32>
    ```
  }];
  let arguments = (ins Qlr_Matrix:$x, Qlr_Vector:$weight);
  let results = (outs Qlr_Matrix:$result);
  let assemblyFormat = "$x `,` $weight attr-dict `:` type($x) `,` type($weight)";
  let hasVerifier = 1;
  let extraClassDeclaration = elementwiseMethods # [{
    ::qlr::Broadcast getBroadcast(unsigned index) {
      return index == 0 ? ::qlr::Broadcast::None : ::qlr::Broadcast::Rows;
    }
  }];
}

def Qlr_ScaleTokensOp : Qlr_ElementwiseOp<"scale_tokens", [AllTypesMatch<["x", "result"]>]> {
  let summary = "Multiply every token by a number of its own";
  let description = [{
    `result[m, n] = x[m, n] * stat[m]`: what `qlr-defer-norm` leaves of a norm
    after the product.

    - C1: `stat` has one element a token.

    ```mlir
    %t = qlr.scale_tokens %y, %s : tensor<8x32xf32>, tensor<8xf32>
    ```
  }];
  let arguments = (ins Qlr_Matrix:$x, Qlr_Vector:$stat);
  let results = (outs Qlr_Matrix:$result);
  let assemblyFormat = "$x `,` $stat attr-dict `:` type($x) `,` type($stat)";
  let hasVerifier = 1;
  let extraClassDeclaration = elementwiseMethods # [{
    ::qlr::Broadcast getBroadcast(unsigned index) {
      return index == 0 ? ::qlr::Broadcast::None : ::qlr::Broadcast::Columns;
    }
  }];
}

def Qlr_RotateOp : Qlr_GraphOp<"rotate"> {
  let summary = "Rotate and quantize activations";
  let description = [{
    `x' = H (signs * x) / sqrt(h)` in blocks of h columns, h the `rotation` of the
    result type (0: no rotation), then quantized per token and 128 columns:
    `s = max|x'| / 32639`, `x16 = roundeven(x' / s)`, high byte
    `(x16 + 128) >> 8`, low byte the rest.

    - C1: the result has the shape of `x`.
    - C2: `signs`, when given, has one element a column.
    - C3: without rotation there are no signs.

    ```mlir
    %a = qlr.rotate %x, %signs : tensor<8x64xf32>, tensor<64xf32> -> !qlr.act<8x64, block = 128, sums = 128, rotation = 64>
    %b = qlr.rotate %x : tensor<8x64xf32> -> !qlr.act<8x64, block = 128, sums = 128, rotation = 0>
    ```
  }];
  let arguments = (ins Qlr_Matrix:$x, Optional<Qlr_Vector>:$signs);
  let results = (outs Qlr_ActType:$result);
  let assemblyFormat = "$x (`,` $signs^)? attr-dict `:` type($x) (`,` type($signs)^)? `->` qualified(type($result))";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

def Qlr_LinearOp : Qlr_GraphOp<"linear"> {
  let summary = "Multiply by a compressed matrix, its low-rank branch and bias included";
  let description = [{
    `result = x Q^T + (x R^T) L^T + bias`. Decomposed into `matmul`, `project`,
    `expand` and `bias_add` before kernels are formed.

    - C1: `x` has the weight's columns.
    - C2: the result is tokens x the weight's rows.
    - C3: `x` is f32 where the codec takes floats, else quantized activations.
    - C4: the activations' `sums` are the smallest group of the weight's codecs, or 128 without groups.
    - C5: the activations are rotated as the weight is.
    - C6: `bias`, when given, has one element a row of the weight.

    ```mlir
    %y = qlr.linear %x, %w, %b : tensor<8x64xf32>, !qlr.weight<32x64, q = #qlr.float<f32>>, tensor<32xf32> -> tensor<8x32xf32>
    ```
  }];
  let arguments = (ins Qlr_Input:$x, Qlr_WeightType:$weight, Optional<Qlr_Vector>:$bias);
  let results = (outs Qlr_Matrix:$result);
  let assemblyFormat = [{
    $x `,` $weight (`,` $bias^)? attr-dict `:` qualified(type($x)) `,` qualified(type($weight)) (`,` type($bias)^)?
    `->` type($result)
  }];
  let hasVerifier = 1;
}

def Qlr_MatmulOp : Qlr_GraphOp<"matmul"> {
  let summary = "Multiply by the codes of a compressed matrix";
  let description = [{
    `result = x Q^T`, without the low-rank branch.

    - C1 to C5: as `qlr.linear`.

    ```mlir
    %y = qlr.matmul %x, %w : tensor<8x64xf32>, !qlr.weight<32x64, q = #qlr.float<f32>> -> tensor<8x32xf32>
    ```
  }];
  let arguments = (ins Qlr_Input:$x, Qlr_WeightType:$weight);
  let results = (outs Qlr_Matrix:$result);
  let assemblyFormat = "$x `,` $weight attr-dict `:` qualified(type($x)) `,` qualified(type($weight)) `->` type($result)";
  let hasVerifier = 1;
}

def Qlr_ProjectOp : Qlr_GraphOp<"project"> {
  let summary = "Multiply by the stacked right factors of a compressed matrix";
  let description = [{
    `result = x R^T`: for every part of the weight its rank, padded to 16 columns.

    - C1: `x` has the weight's columns.
    - C2: the weight has a low-rank branch.
    - C3: the result is tokens x parts * (rank rounded up to 16).
    - C4: the activations are rotated as the weight is.
    - C5: the activations' `sums` are the smallest group of the weight's codecs, or 128 without groups.

    ```mlir
    %t = qlr.project %a, %w : !qlr.act<1x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>> -> tensor<1x16xf32>
    ```
  }];
  let arguments = (ins Qlr_ActType:$x, Qlr_WeightType:$weight);
  let results = (outs Qlr_Matrix:$result);
  let assemblyFormat = "$x `,` $weight attr-dict `:` qualified(type($x)) `,` qualified(type($weight)) `->` type($result)";
  let hasVerifier = 1;
}

def Qlr_ExpandOp : Qlr_GraphOp<"expand", [AllTypesMatch<["y", "result"]>]> {
  let summary = "Add the left factors' share of a product";
  let description = [{
    `result = y + t L^T`; the rows of part p read t's columns of part p only.

    - C1: `y` is tokens x the weight's rows.
    - C2: the weight has a low-rank branch.
    - C3: `t` is tokens x parts * (rank rounded up to 16).

    ```mlir
    %z = qlr.expand %y, %t, %w : tensor<1x32xf32>, tensor<1x16xf32>, !qlr.weight<32x64, q = #qlr.int<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>>
    ```
  }];
  let arguments = (ins Qlr_Matrix:$y, Qlr_Matrix:$t, Qlr_WeightType:$weight);
  let results = (outs Qlr_Matrix:$result);
  let assemblyFormat = "$y `,` $t `,` $weight attr-dict `:` type($y) `,` type($t) `,` qualified(type($weight))";
  let hasVerifier = 1;
  let extraClassDeclaration = stagedMethods # [{
    bool isStageRoot() { return false; }
  }];
}

//===----------------------------------------------------------------------===//
// Elementwise ops and views
//===----------------------------------------------------------------------===//

def Qlr_BiasAddOp : Qlr_ElementwiseOp<"bias_add", [AllTypesMatch<["x", "result"]>]> {
  let summary = "Add a vector to every token";
  let description = [{
    `result[m, n] = x[m, n] + bias[n]`.

    - C1: `bias` has one element a column.

    ```mlir
    %z = qlr.bias_add %y, %b : tensor<8x32xf32>, tensor<32xf32>
    ```
  }];
  let arguments = (ins Qlr_Matrix:$x, Qlr_Vector:$bias);
  let results = (outs Qlr_Matrix:$result);
  let assemblyFormat = "$x `,` $bias attr-dict `:` type($x) `,` type($bias)";
  let hasVerifier = 1;
  let extraClassDeclaration = elementwiseMethods # [{
    ::qlr::Broadcast getBroadcast(unsigned index) {
      return index == 0 ? ::qlr::Broadcast::None : ::qlr::Broadcast::Rows;
    }
  }];
}

def Qlr_AddOp : Qlr_ElementwiseOp<"add", [SameOperandsAndResultType, Commutative]> {
  let summary = "Add two matrices";
  let description = [{
    `result[m, n] = a[m, n] + b[m, n]`. The types of operands and result are equal.

    ```mlir
    %z = qlr.add %x, %y : tensor<8x64xf32>
    ```
  }];
  let arguments = (ins Qlr_Matrix:$a, Qlr_Matrix:$b);
  let results = (outs Qlr_Matrix:$result);
  let assemblyFormat = "$a `,` $b attr-dict `:` type($result)";
}

def Qlr_SwigluOp : Qlr_ElementwiseOp<"swiglu", [SameOperandsAndResultType]> {
  let summary = "Gate a matrix with the SiLU of another";
  let description = [{
    `result = gate / (1 + exp(-gate)) * up`. The types of operands and result are
    equal.

    ```mlir
    %h = qlr.swiglu %gate, %up : tensor<8x128xf32>
    ```
  }];
  let arguments = (ins Qlr_Matrix:$gate, Qlr_Matrix:$up);
  let results = (outs Qlr_Matrix:$result);
  let assemblyFormat = "$gate `,` $up attr-dict `:` type($result)";
}

def Qlr_SliceOp : Qlr_ElementwiseOp<"slice"> {
  let summary = "View consecutive columns";
  let description = [{
    `result[m, n] = x[m, offset + n]`; `size` is the result's columns. A slice of
    all columns folds to `x`, a slice of a slice becomes one slice.

    - C1: the result has the tokens of `x`.
    - C2: `offset` and the columns lie inside `x`.

    ```mlir
    %k = qlr.slice %y {offset = 64 : i64} : tensor<8x128xf32> -> tensor<8x32xf32>
    ```
  }];
  let arguments = (ins Qlr_Matrix:$x, I64Attr:$offset);
  let results = (outs Qlr_Matrix:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let extraClassDeclaration = elementwiseMethods # [{
    bool isView() { return true; }
    int64_t getSize() { return getType().getDimSize(1); }
  }];
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

def Qlr_RopeOp : Qlr_GraphOp<"rope", [AllTypesMatch<["x", "result"]>]> {
  let summary = "Rotate the halves of every head by the token's position";
  let description = [{
    With d = `head_dim`, p = `position + m`, and in every head i < d/2,
    a = p * theta^(-2i/d): `result[i] = x[i] cos a - x[i+d/2] sin a`,
    `result[i+d/2] = x[i+d/2] cos a + x[i] sin a`.

    - C1: `x` has heads * head_dim columns.
    - C2: `head_dim` is even and positive.
    - C3: `theta` is positive.

    ```mlir
    %r = qlr.rope %x, %pos {heads = 4 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : tensor<8x64xf32>
    ```
  }];
  let arguments = (ins Qlr_Matrix:$x, Qlr_Position:$position, I64Attr:$heads,
                       I64Attr:$head_dim, F64Attr:$theta);
  let results = (outs Qlr_Matrix:$result);
  let assemblyFormat = "$x `,` $position attr-dict `:` type($x)";
  let hasVerifier = 1;
  let extraClassDeclaration = stagedMethods # [{
    bool isStageRoot() { return false; }
  }];
}

def Qlr_CacheLayerOp : Qlr_Op<"cache_layer", [Pure]> {
  let summary = "View one layer of the cache";
  let description = [{
    Names the part of the cache that belongs to layer `layer`. It costs nothing;
    keeping the number out of kernels lets layers share them.

    - C1: `layer` lies inside the cache.
    - C2: the result is the same cache with one layer.

    ```mlir
    %l = qlr.cache_layer %cache {layer = 3 : i64} : !qlr.cache<24, 2, 64, bf16> -> !qlr.cache<1, 2, 64, bf16>
    ```
  }];
  let arguments = (ins Qlr_CacheType:$cache, I64Attr:$layer);
  let results = (outs Qlr_CacheType:$result);
  let assemblyFormat = "$cache attr-dict `:` qualified(type($cache)) `->` qualified(type($result))";
  let hasVerifier = 1;
}

def Qlr_CacheAppendOp : Qlr_GraphOp<"cache_append", [AllTypesMatch<["cache", "result"]>]> {
  let summary = "Write the keys and values of new tokens";
  let description = [{
    The cache with token m's key and value at position `position + m`. The result
    is the only valid name of the cache from here on; it takes the same memory.

    - C1: the cache has one layer.
    - C2: `k` and `v` have kv heads * head dimension columns.
    - C3: `k` and `v` have the same tokens.

    ```mlir
    %c = qlr.cache_append %cache, %k, %v, %pos : !qlr.cache<1, 2, 16, bf16>, tensor<8x32xf32>, tensor<8x32xf32>
    ```
  }];
  let arguments = (ins Qlr_CacheType:$cache, Qlr_Matrix:$k, Qlr_Matrix:$v, Qlr_Position:$position);
  let results = (outs Qlr_CacheType:$result);
  let assemblyFormat = "$cache `,` $k `,` $v `,` $position attr-dict `:` qualified(type($cache)) `,` type($k) `,` type($v)";
  let hasVerifier = 1;
  let extraClassDeclaration = stagedMethods # [{
    bool isStageRoot() { return false; }
    bool readsOwnItem(unsigned index) { return true; }
  }];
}

def Qlr_AttentionOp : Qlr_GraphOp<"attention", [AllTypesMatch<["q", "result"]>]> {
  let summary = "Attend from new tokens to all positions up to their own";
  let description = [{
    `result[m, h] = softmax_p(q[m, h] . k[p, g] / sqrt(head_dim)) v[p, g]` over the
    positions p <= `position + m`, g = h * kv_heads / heads.

    - C1: the cache has one layer.
    - C2: `q` has heads * head_dim columns.
    - C3: `head_dim` and `kv_heads` are the cache's.
    - C4: `kv_heads` divides `heads`.

    ```mlir
    %o = qlr.attention %q, %cache, %pos {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64} : tensor<8x64xf32>, !qlr.cache<1, 2, 16, bf16>
    ```
  }];
  let arguments = (ins Qlr_Matrix:$q, Qlr_CacheType:$cache, Qlr_Position:$position,
                       I64Attr:$heads, I64Attr:$kv_heads, I64Attr:$head_dim);
  let results = (outs Qlr_Matrix:$result);
  let assemblyFormat = "$q `,` $cache `,` $position attr-dict `:` type($q) `,` qualified(type($cache))";
  let hasVerifier = 1;
}

#endif // QLR_DIALECT_QLRGRAPHOPS_TD
