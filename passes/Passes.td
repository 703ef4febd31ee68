// All passes, alphabetical. Each is a file of its own and runs alone under qlr-opt.
#ifndef QLR_PASSES_PASSES_TD
#define QLR_PASSES_PASSES_TD

include "mlir/Pass/PassBase.td"

def DecomposePass : Pass<"qlr-decompose", "::mlir::ModuleOp"> {
  let summary = "Split linear layers and norms into the ops kernels are made of";
  let description = [{
    `qlr.linear` becomes `qlr.matmul`, with a low-rank branch also `qlr.project`
    (t = R x') before and `qlr.expand` (+ L t) after it, with a bias
    `qlr.bias_add`. `qlr.rms_norm` becomes `qlr.rms_stat` and `qlr.norm_apply`.
    Other ops stay.

    (* example filepath=test/passes/decompose.mlir *)
  }];
}

def DeferNormPass : Pass<"qlr-defer-norm", "::mlir::ModuleOp"> {
  let summary = "Scale by a norm's statistic after the product instead of before it";
  let description = [{
    `qlr.norm_apply` in front of products becomes `qlr.scale_columns`, and
    `qlr.scale_tokens` multiplies what the products give, low-rank branch included
    and before the bias. Rotation and product then wait no longer for a pass over the
    whole row. A norm stays unless all that reads it are products, directly or
    through rotations, and a projection is read by the `qlr.expand` of such a product
    only. Scales of the quantized activations absorb the statistic, so that results
    differ by rounding.

    (* example filepath=test/passes/defer-norm.mlir *)
  }];
}

def FormKernelsPass : Pass<"qlr-form-kernels", "::mlir::ModuleOp"> {
  let summary = "Group neighbouring ops into kernels";
  let description = [{
    Every op of a function that knows how it is staged moves into a `qlr.kernel`.
    Fused: a kernel is opened by an op that reads a weight or a cache. It takes in,
    before it, the norms, rotations and activations that only it needs, and after it
    what is computed element by element or head by head from its product: low-rank
    branch, bias, RoPE, cache append, residual, and what gives such an op its one
    value a token. Products of one prologue share a kernel. Unfused: every op is a
    kernel of its own. Two-stage: as fused, but every product is a kernel, so that the
    projection t = R x' is done in the launch before. Views are copied into the kernels that use them. Ops inside
    existing kernels stay.

    (* example filepath=test/passes/form-kernels.mlir *)
  }];
  let options = [Option<"form", "form", "std::string", "\"fused\"", "fused, two-stage or unfused">];
}

def FuseSiblingsPass : Pass<"qlr-fuse-siblings", "::mlir::ModuleOp"> {
  let summary = "Stack linear layers that share their input";
  let description = [{
    Linear layers of one function with the same input, codec, rank, factors and
    rotation, all with a bias or all without, become one linear layer of a stacked
    weight (a new `qlr.weight_decl` with several parts) and a slice each: q|k|v,
    gate|up. Where a part other than the last is not a multiple of 16 rows they stay,
    and so do layers that differ. Declarations that are no longer used are erased.

    (* example filepath=test/passes/fuse-siblings.mlir *)
  }];
}

def PlanBuffersPass : Pass<"qlr-plan-buffers", "::mlir::ModuleOp"> {
  let summary = "Give every value an address";
  let description = [{
    Weights, vectors and level tables get offsets in the weights arena, in the order
    of their declarations. In every function the results of launches and the values
    that cross stages get 64-byte aligned workspace offsets; values that do not live
    at the same time share memory. Each `qlr.launch` gets its flat argument list and
    the bytes of weights it reads; the function gets `qlr.workspace_bytes` and
    `qlr.logits_offset`, the module `qlr.weights_bytes`. Counters of `qlr-plan-sync`
    have the beginning of the workspace to themselves, in every function. Kernels must
    be staged.

    (* example filepath=test/passes/plan-buffers.mlir *)
  }];
}

def PlanSyncPass : Pass<"qlr-plan-sync", "::mlir::ModuleOp"> {
  let summary = "Give kernels whose blocks work together a place for it";
  let description = [{
    For targets on which a kernel is one launch. A kernel of several stages, or with
    results that several items share, gets `qlr.sync_words`: i32 counters for tickets,
    exits, finished items of each stage and arrivals of each shared result.
    `qlr.partial_bytes` is the memory for partial results. `qlr-plan-buffers` adds the
    two as the last arguments (partial results, then counters). Variants must be
    selected.

    (* example filepath=test/passes/plan-sync.mlir *)
  }];
}

def SelectVariantsPass : Pass<"qlr-select-variants", "::mlir::ModuleOp"> {
  let summary = "Choose how every product is cut and unrolled";
  let description = [{
    Every stage over strips gets a `variant`: strips of an item, accumulators of a
    strip, tokens at a time; and its number of items follows. The choice is the
    tuning database's entry for (codec, rows, columns, tokens) where it has one, else
    the cost model's (CostModel.cpp). Stages that have a variant keep it.

    With `machine=gpu` a variant is: `multiply` (dp4a, imma or hmma; products with plain
    rows have none), strips of an item, and `splits`, items that share a result, over
    columns in a product, over positions in attention. What the options ask for comes before
    the database's entry.

    (* example filepath=test/passes/select-variants.mlir *)
  }];
  let options = [Option<"tuneDb", "tune-db", "std::string", "\"\"",
                        "tuning database, a JSON file; empty: cost model only">,
                 Option<"machine", "machine", "std::string", "\"host\"", "host or gpu">,
                 Option<"multiply", "multiply", "std::string", "\"\"",
                        "gpu: take this way to multiply wherever it fits">,
                 Option<"decode", "decode", "std::string", "\"\"",
                        "gpu: take this way to decode wherever the codec has it">,
                 Option<"splits", "splits", "int64_t", "0", "gpu: this many splits; 0: the cost model's">];
}

def ShareKernelsPass : Pass<"qlr-share-kernels", "::mlir::ModuleOp"> {
  let summary = "Make one kernel of those with equal regions";
  let description = [{
    Every `qlr.kernel` becomes a `qlr.launch` of a `qlr.kernel_def`; kernels whose
    regions are equal up to locations share one. Layers of equal shape and codecs
    thereby need one set of kernels.

    (* example filepath=test/passes/share-kernels.mlir *)
  }];
}

def StagePass : Pass<"qlr-stage", "::mlir::ModuleOp"> {
  let summary = "Cut kernels into stages of independent items";
  let description = [{
    The ops of every `qlr.kernel_def` move into `qlr.stage` ops, in an order in which
    every stage needs only what earlier stages have finished. A product opens a stage
    over strips, which takes in its low-rank branch and elementwise ops; a rotation
    opens one over blocks, into which the elementwise ops before it are pulled;
    RoPE and the cache append form one over heads. Views are copied into every stage
    that reads them. Kernels that have stages stay.

    (* example filepath=test/passes/stage.mlir *)
  }];
}

def VerifyPlannedPass : Pass<"qlr-verify-planned", "::mlir::ModuleOp"> {
  let summary = "Check what code generation relies on";
  let description = [{
    Fails unless every function consists of references, cache views and planned
    launches and has its workspace size, every kernel consists of stages and returns
    what stages made, every stage over strips has a variant, every launch has as many
    planned arguments as its kernel takes, and no cache is read under the name it had
    before a kernel appended to it.

    (* example filepath=test/passes/verify-planned.mlir *)
  }];
}

#endif // QLR_PASSES_PASSES_TD
