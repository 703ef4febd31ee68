// The whole pipeline on two decoder layers (hidden 64, 4 heads of 16, 2 key/value heads, 128 wide, trellis2 with rank 8),
// for one token and for eight with the last one's logits.
// RUN: qlr-opt %s --qlr-to-planned | FileCheck %s
// RUN: qlr-opt %s --qlr-to-planned=form=unfused | FileCheck %s --check-prefix=UNFUSED

// Kernels, written and read again, go the rest of the way.
// RUN: qlr-opt %s --qlr-to-kernels | qlr-opt --qlr-to-planned | FileCheck %s

// The same pass by pass, each from the text of the one before.
// RUN: qlr-opt %s --canonicalize --cse | qlr-opt --qlr-fuse-siblings | qlr-opt --qlr-decompose | qlr-opt --qlr-form-kernels \
// RUN:   | qlr-opt --qlr-share-kernels | qlr-opt --qlr-stage | qlr-opt --qlr-select-variants | qlr-opt --qlr-plan-buffers \
// RUN:   | qlr-opt --qlr-verify-planned | FileCheck %s

// Both layers are launches of the same kernels: embedding, q|k|v, attention, output, gate|up, down, head.
// CHECK: module attributes {qlr.weights_bytes = {{[0-9]+}} : i64}
// CHECK: qlr.levels_decl @levels.trellis2
// CHECK: qlr.weight_decl @model.layers.0.self_attn.q_proj.k_proj.v_proj
// CHECK-SAME: parts = [64, 32, 32]>
// CHECK-LABEL: func.func @forward_1_last
// CHECK-SAME: qlr.logits_offset
// CHECK: qlr.launch @[[$EMBED:k[0-9]+]](
// CHECK: qlr.launch @[[$QKV:k[0-9]+]](
// CHECK-SAME: #qlr.arg<c, 0>
// CHECK-SAME: source = "model.layers.0.self_attn.q_proj.k_proj.v_proj"
// CHECK: qlr.launch @[[$ATT:k[0-9]+]](
// CHECK: qlr.launch @[[$OUT:k[0-9]+]](
// CHECK: qlr.launch @[[$UP:k[0-9]+]](
// CHECK: qlr.launch @[[$DOWN:k[0-9]+]](
// CHECK: qlr.launch @[[$QKV]](
// CHECK-SAME: #qlr.arg<c, 128>
// CHECK: qlr.launch @[[$ATT]](
// CHECK: qlr.launch @[[$OUT]](
// CHECK: qlr.launch @[[$UP]](
// CHECK: qlr.launch @[[$DOWN]](
// CHECK: qlr.launch @[[$HEAD:k[0-9]+]](
// CHECK-NEXT: return
// CHECK-LABEL: func.func @forward_8_last
// CHECK-COUNT-12: qlr.launch
// CHECK-NEXT: return
// CHECK-COUNT-14: qlr.kernel_def
// CHECK-NOT: qlr.kernel_def

// UNFUSED-LABEL: func.func @forward_1_last
// UNFUSED: qlr.launch {{.*}} source = "model.layers.0.mlp.down_proj"
// UNFUSED: return

module {
  qlr.weight_decl @model.embed_tokens : !qlr.weight<320x64, q = #qlr.int<bits = 8>> {parts = ["model.embed_tokens"]}
  qlr.weight_decl @model.layers.0.self_attn.q_proj : !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> {parts = ["model.layers.0.self_attn.q_proj"]}
  qlr.vector_decl @model.layers.0.self_attn.q_proj.bias : tensor<64xf32> {kind = "bias", parts = ["model.layers.0.self_attn.q_proj.bias"]}
  qlr.weight_decl @model.layers.0.self_attn.k_proj : !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> {parts = ["model.layers.0.self_attn.k_proj"]}
  qlr.vector_decl @model.layers.0.self_attn.k_proj.bias : tensor<32xf32> {kind = "bias", parts = ["model.layers.0.self_attn.k_proj.bias"]}
  qlr.weight_decl @model.layers.0.self_attn.v_proj : !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> {parts = ["model.layers.0.self_attn.v_proj"]}
  qlr.vector_decl @model.layers.0.self_attn.v_proj.bias : tensor<32xf32> {kind = "bias", parts = ["model.layers.0.self_attn.v_proj.bias"]}
  qlr.weight_decl @model.layers.0.self_attn.o_proj : !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> {parts = ["model.layers.0.self_attn.o_proj"]}
  qlr.weight_decl @model.layers.0.mlp.gate_proj : !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> {parts = ["model.layers.0.mlp.gate_proj"]}
  qlr.weight_decl @model.layers.0.mlp.up_proj : !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> {parts = ["model.layers.0.mlp.up_proj"]}
  qlr.weight_decl @model.layers.0.mlp.down_proj : !qlr.weight<64x128, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 128> {parts = ["model.layers.0.mlp.down_proj"]}
  qlr.vector_decl @model.layers.0.input_layernorm.weight : tensor<64xf32> {kind = "norm", parts = ["model.layers.0.input_layernorm.weight"]}
  qlr.vector_decl @model.layers.0.post_attention_layernorm.weight : tensor<64xf32> {kind = "norm", parts = ["model.layers.0.post_attention_layernorm.weight"]}
  qlr.vector_decl @model.layers.0.attn_in.signs : tensor<64xf32> {kind = "signs", parts = ["model.layers.0.attn_in.signs"]}
  qlr.vector_decl @model.layers.0.attn_out.signs : tensor<64xf32> {kind = "signs", parts = ["model.layers.0.attn_out.signs"]}
  qlr.vector_decl @model.layers.0.mlp_in.signs : tensor<64xf32> {kind = "signs", parts = ["model.layers.0.mlp_in.signs"]}
  qlr.vector_decl @model.layers.0.mlp_out.signs : tensor<128xf32> {kind = "signs", parts = ["model.layers.0.mlp_out.signs"]}
  qlr.weight_decl @model.layers.1.self_attn.q_proj : !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> {parts = ["model.layers.1.self_attn.q_proj"]}
  qlr.vector_decl @model.layers.1.self_attn.q_proj.bias : tensor<64xf32> {kind = "bias", parts = ["model.layers.1.self_attn.q_proj.bias"]}
  qlr.weight_decl @model.layers.1.self_attn.k_proj : !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> {parts = ["model.layers.1.self_attn.k_proj"]}
  qlr.vector_decl @model.layers.1.self_attn.k_proj.bias : tensor<32xf32> {kind = "bias", parts = ["model.layers.1.self_attn.k_proj.bias"]}
  qlr.weight_decl @model.layers.1.self_attn.v_proj : !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> {parts = ["model.layers.1.self_attn.v_proj"]}
  qlr.vector_decl @model.layers.1.self_attn.v_proj.bias : tensor<32xf32> {kind = "bias", parts = ["model.layers.1.self_attn.v_proj.bias"]}
  qlr.weight_decl @model.layers.1.self_attn.o_proj : !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> {parts = ["model.layers.1.self_attn.o_proj"]}
  qlr.weight_decl @model.layers.1.mlp.gate_proj : !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> {parts = ["model.layers.1.mlp.gate_proj"]}
  qlr.weight_decl @model.layers.1.mlp.up_proj : !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> {parts = ["model.layers.1.mlp.up_proj"]}
  qlr.weight_decl @model.layers.1.mlp.down_proj : !qlr.weight<64x128, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 128> {parts = ["model.layers.1.mlp.down_proj"]}
  qlr.vector_decl @model.layers.1.input_layernorm.weight : tensor<64xf32> {kind = "norm", parts = ["model.layers.1.input_layernorm.weight"]}
  qlr.vector_decl @model.layers.1.post_attention_layernorm.weight : tensor<64xf32> {kind = "norm", parts = ["model.layers.1.post_attention_layernorm.weight"]}
  qlr.vector_decl @model.layers.1.attn_in.signs : tensor<64xf32> {kind = "signs", parts = ["model.layers.1.attn_in.signs"]}
  qlr.vector_decl @model.layers.1.attn_out.signs : tensor<64xf32> {kind = "signs", parts = ["model.layers.1.attn_out.signs"]}
  qlr.vector_decl @model.layers.1.mlp_in.signs : tensor<64xf32> {kind = "signs", parts = ["model.layers.1.mlp_in.signs"]}
  qlr.vector_decl @model.layers.1.mlp_out.signs : tensor<128xf32> {kind = "signs", parts = ["model.layers.1.mlp_out.signs"]}
  qlr.vector_decl @model.norm.weight : tensor<64xf32> {kind = "norm", parts = ["model.norm.weight"]}
  func.func @forward_1_last(%ids: tensor<1xi32>, %pos: tensor<i32>, %cache: !qlr.cache<2, 2, 16, bf16>) -> tensor<1x320xf32> {
    %1 = qlr.weight_ref @model.embed_tokens : !qlr.weight<320x64, q = #qlr.int<bits = 8>>
    %2 = qlr.embed %ids, %1 : tensor<1xi32>, !qlr.weight<320x64, q = #qlr.int<bits = 8>> -> tensor<1x64xf32>
    %3 = qlr.vector_ref @model.layers.0.input_layernorm.weight : tensor<64xf32>
    %4 = qlr.rms_norm %2, %3 {eps = 1.0e-6 : f64} : tensor<1x64xf32>, tensor<64xf32>
    %5 = qlr.vector_ref @model.layers.0.attn_in.signs : tensor<64xf32>
    %6 = qlr.rotate %4, %5 : tensor<1x64xf32>, tensor<64xf32> -> !qlr.act<1x64, block = 128, sums = 128, rotation = 64>
    %7 = qlr.weight_ref @model.layers.0.self_attn.q_proj : !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %8 = qlr.vector_ref @model.layers.0.self_attn.q_proj.bias : tensor<64xf32>
    %9 = qlr.linear %6, %7, %8 : !qlr.act<1x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>, tensor<64xf32> -> tensor<1x64xf32>
    %10 = qlr.weight_ref @model.layers.0.self_attn.k_proj : !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %11 = qlr.vector_ref @model.layers.0.self_attn.k_proj.bias : tensor<32xf32>
    %12 = qlr.linear %6, %10, %11 : !qlr.act<1x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>, tensor<32xf32> -> tensor<1x32xf32>
    %13 = qlr.weight_ref @model.layers.0.self_attn.v_proj : !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %14 = qlr.vector_ref @model.layers.0.self_attn.v_proj.bias : tensor<32xf32>
    %15 = qlr.linear %6, %13, %14 : !qlr.act<1x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>, tensor<32xf32> -> tensor<1x32xf32>
    %16 = qlr.rope %9, %pos {heads = 4 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : tensor<1x64xf32>
    %17 = qlr.rope %12, %pos {heads = 2 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : tensor<1x32xf32>
    %18 = qlr.cache_layer %cache {layer = 0 : i64} : !qlr.cache<2, 2, 16, bf16> -> !qlr.cache<1, 2, 16, bf16>
    %19 = qlr.cache_append %18, %17, %15, %pos : !qlr.cache<1, 2, 16, bf16>, tensor<1x32xf32>, tensor<1x32xf32>
    %20 = qlr.attention %16, %19, %pos {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64} : tensor<1x64xf32>, !qlr.cache<1, 2, 16, bf16>
    %21 = qlr.vector_ref @model.layers.0.attn_out.signs : tensor<64xf32>
    %22 = qlr.rotate %20, %21 : tensor<1x64xf32>, tensor<64xf32> -> !qlr.act<1x64, block = 128, sums = 128, rotation = 64>
    %23 = qlr.weight_ref @model.layers.0.self_attn.o_proj : !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %24 = qlr.linear %22, %23 : !qlr.act<1x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> -> tensor<1x64xf32>
    %25 = qlr.add %2, %24 : tensor<1x64xf32>
    %26 = qlr.vector_ref @model.layers.0.post_attention_layernorm.weight : tensor<64xf32>
    %27 = qlr.rms_norm %25, %26 {eps = 1.0e-6 : f64} : tensor<1x64xf32>, tensor<64xf32>
    %28 = qlr.vector_ref @model.layers.0.mlp_in.signs : tensor<64xf32>
    %29 = qlr.rotate %27, %28 : tensor<1x64xf32>, tensor<64xf32> -> !qlr.act<1x64, block = 128, sums = 128, rotation = 64>
    %30 = qlr.weight_ref @model.layers.0.mlp.gate_proj : !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %31 = qlr.linear %29, %30 : !qlr.act<1x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> -> tensor<1x128xf32>
    %32 = qlr.weight_ref @model.layers.0.mlp.up_proj : !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %33 = qlr.linear %29, %32 : !qlr.act<1x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> -> tensor<1x128xf32>
    %34 = qlr.swiglu %31, %33 : tensor<1x128xf32>
    %35 = qlr.vector_ref @model.layers.0.mlp_out.signs : tensor<128xf32>
    %36 = qlr.rotate %34, %35 : tensor<1x128xf32>, tensor<128xf32> -> !qlr.act<1x128, block = 128, sums = 128, rotation = 128>
    %37 = qlr.weight_ref @model.layers.0.mlp.down_proj : !qlr.weight<64x128, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 128>
    %38 = qlr.linear %36, %37 : !qlr.act<1x128, block = 128, sums = 128, rotation = 128>, !qlr.weight<64x128, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 128> -> tensor<1x64xf32>
    %39 = qlr.add %25, %38 : tensor<1x64xf32>
    %40 = qlr.vector_ref @model.layers.1.input_layernorm.weight : tensor<64xf32>
    %41 = qlr.rms_norm %39, %40 {eps = 1.0e-6 : f64} : tensor<1x64xf32>, tensor<64xf32>
    %42 = qlr.vector_ref @model.layers.1.attn_in.signs : tensor<64xf32>
    %43 = qlr.rotate %41, %42 : tensor<1x64xf32>, tensor<64xf32> -> !qlr.act<1x64, block = 128, sums = 128, rotation = 64>
    %44 = qlr.weight_ref @model.layers.1.self_attn.q_proj : !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %45 = qlr.vector_ref @model.layers.1.self_attn.q_proj.bias : tensor<64xf32>
    %46 = qlr.linear %43, %44, %45 : !qlr.act<1x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>, tensor<64xf32> -> tensor<1x64xf32>
    %47 = qlr.weight_ref @model.layers.1.self_attn.k_proj : !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %48 = qlr.vector_ref @model.layers.1.self_attn.k_proj.bias : tensor<32xf32>
    %49 = qlr.linear %43, %47, %48 : !qlr.act<1x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>, tensor<32xf32> -> tensor<1x32xf32>
    %50 = qlr.weight_ref @model.layers.1.self_attn.v_proj : !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %51 = qlr.vector_ref @model.layers.1.self_attn.v_proj.bias : tensor<32xf32>
    %52 = qlr.linear %43, %50, %51 : !qlr.act<1x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>, tensor<32xf32> -> tensor<1x32xf32>
    %53 = qlr.rope %46, %pos {heads = 4 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : tensor<1x64xf32>
    %54 = qlr.rope %49, %pos {heads = 2 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : tensor<1x32xf32>
    %55 = qlr.cache_layer %cache {layer = 1 : i64} : !qlr.cache<2, 2, 16, bf16> -> !qlr.cache<1, 2, 16, bf16>
    %56 = qlr.cache_append %55, %54, %52, %pos : !qlr.cache<1, 2, 16, bf16>, tensor<1x32xf32>, tensor<1x32xf32>
    %57 = qlr.attention %53, %56, %pos {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64} : tensor<1x64xf32>, !qlr.cache<1, 2, 16, bf16>
    %58 = qlr.vector_ref @model.layers.1.attn_out.signs : tensor<64xf32>
    %59 = qlr.rotate %57, %58 : tensor<1x64xf32>, tensor<64xf32> -> !qlr.act<1x64, block = 128, sums = 128, rotation = 64>
    %60 = qlr.weight_ref @model.layers.1.self_attn.o_proj : !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %61 = qlr.linear %59, %60 : !qlr.act<1x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> -> tensor<1x64xf32>
    %62 = qlr.add %39, %61 : tensor<1x64xf32>
    %63 = qlr.vector_ref @model.layers.1.post_attention_layernorm.weight : tensor<64xf32>
    %64 = qlr.rms_norm %62, %63 {eps = 1.0e-6 : f64} : tensor<1x64xf32>, tensor<64xf32>
    %65 = qlr.vector_ref @model.layers.1.mlp_in.signs : tensor<64xf32>
    %66 = qlr.rotate %64, %65 : tensor<1x64xf32>, tensor<64xf32> -> !qlr.act<1x64, block = 128, sums = 128, rotation = 64>
    %67 = qlr.weight_ref @model.layers.1.mlp.gate_proj : !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %68 = qlr.linear %66, %67 : !qlr.act<1x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> -> tensor<1x128xf32>
    %69 = qlr.weight_ref @model.layers.1.mlp.up_proj : !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %70 = qlr.linear %66, %69 : !qlr.act<1x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> -> tensor<1x128xf32>
    %71 = qlr.swiglu %68, %70 : tensor<1x128xf32>
    %72 = qlr.vector_ref @model.layers.1.mlp_out.signs : tensor<128xf32>
    %73 = qlr.rotate %71, %72 : tensor<1x128xf32>, tensor<128xf32> -> !qlr.act<1x128, block = 128, sums = 128, rotation = 128>
    %74 = qlr.weight_ref @model.layers.1.mlp.down_proj : !qlr.weight<64x128, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 128>
    %75 = qlr.linear %73, %74 : !qlr.act<1x128, block = 128, sums = 128, rotation = 128>, !qlr.weight<64x128, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 128> -> tensor<1x64xf32>
    %76 = qlr.add %62, %75 : tensor<1x64xf32>
    %77 = qlr.vector_ref @model.norm.weight : tensor<64xf32>
    %78 = qlr.rms_norm %76, %77 {eps = 1.0e-6 : f64} : tensor<1x64xf32>, tensor<64xf32>
    %79 = qlr.rotate %78 : tensor<1x64xf32> -> !qlr.act<1x64, block = 128, sums = 128, rotation = 0>
    %80 = qlr.weight_ref @model.embed_tokens : !qlr.weight<320x64, q = #qlr.int<bits = 8>>
    %81 = qlr.linear %79, %80 : !qlr.act<1x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<320x64, q = #qlr.int<bits = 8>> -> tensor<1x320xf32>
    return %81 : tensor<1x320xf32>
  }
  func.func @forward_8_last(%ids: tensor<8xi32>, %pos: tensor<i32>, %cache: !qlr.cache<2, 2, 16, bf16>) -> tensor<1x320xf32> {
    %1 = qlr.weight_ref @model.embed_tokens : !qlr.weight<320x64, q = #qlr.int<bits = 8>>
    %2 = qlr.embed %ids, %1 : tensor<8xi32>, !qlr.weight<320x64, q = #qlr.int<bits = 8>> -> tensor<8x64xf32>
    %3 = qlr.vector_ref @model.layers.0.input_layernorm.weight : tensor<64xf32>
    %4 = qlr.rms_norm %2, %3 {eps = 1.0e-6 : f64} : tensor<8x64xf32>, tensor<64xf32>
    %5 = qlr.vector_ref @model.layers.0.attn_in.signs : tensor<64xf32>
    %6 = qlr.rotate %4, %5 : tensor<8x64xf32>, tensor<64xf32> -> !qlr.act<8x64, block = 128, sums = 128, rotation = 64>
    %7 = qlr.weight_ref @model.layers.0.self_attn.q_proj : !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %8 = qlr.vector_ref @model.layers.0.self_attn.q_proj.bias : tensor<64xf32>
    %9 = qlr.linear %6, %7, %8 : !qlr.act<8x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>, tensor<64xf32> -> tensor<8x64xf32>
    %10 = qlr.weight_ref @model.layers.0.self_attn.k_proj : !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %11 = qlr.vector_ref @model.layers.0.self_attn.k_proj.bias : tensor<32xf32>
    %12 = qlr.linear %6, %10, %11 : !qlr.act<8x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>, tensor<32xf32> -> tensor<8x32xf32>
    %13 = qlr.weight_ref @model.layers.0.self_attn.v_proj : !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %14 = qlr.vector_ref @model.layers.0.self_attn.v_proj.bias : tensor<32xf32>
    %15 = qlr.linear %6, %13, %14 : !qlr.act<8x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>, tensor<32xf32> -> tensor<8x32xf32>
    %16 = qlr.rope %9, %pos {heads = 4 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : tensor<8x64xf32>
    %17 = qlr.rope %12, %pos {heads = 2 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : tensor<8x32xf32>
    %18 = qlr.cache_layer %cache {layer = 0 : i64} : !qlr.cache<2, 2, 16, bf16> -> !qlr.cache<1, 2, 16, bf16>
    %19 = qlr.cache_append %18, %17, %15, %pos : !qlr.cache<1, 2, 16, bf16>, tensor<8x32xf32>, tensor<8x32xf32>
    %20 = qlr.attention %16, %19, %pos {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64} : tensor<8x64xf32>, !qlr.cache<1, 2, 16, bf16>
    %21 = qlr.vector_ref @model.layers.0.attn_out.signs : tensor<64xf32>
    %22 = qlr.rotate %20, %21 : tensor<8x64xf32>, tensor<64xf32> -> !qlr.act<8x64, block = 128, sums = 128, rotation = 64>
    %23 = qlr.weight_ref @model.layers.0.self_attn.o_proj : !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %24 = qlr.linear %22, %23 : !qlr.act<8x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> -> tensor<8x64xf32>
    %25 = qlr.add %2, %24 : tensor<8x64xf32>
    %26 = qlr.vector_ref @model.layers.0.post_attention_layernorm.weight : tensor<64xf32>
    %27 = qlr.rms_norm %25, %26 {eps = 1.0e-6 : f64} : tensor<8x64xf32>, tensor<64xf32>
    %28 = qlr.vector_ref @model.layers.0.mlp_in.signs : tensor<64xf32>
    %29 = qlr.rotate %27, %28 : tensor<8x64xf32>, tensor<64xf32> -> !qlr.act<8x64, block = 128, sums = 128, rotation = 64>
    %30 = qlr.weight_ref @model.layers.0.mlp.gate_proj : !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %31 = qlr.linear %29, %30 : !qlr.act<8x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> -> tensor<8x128xf32>
    %32 = qlr.weight_ref @model.layers.0.mlp.up_proj : !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %33 = qlr.linear %29, %32 : !qlr.act<8x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> -> tensor<8x128xf32>
    %34 = qlr.swiglu %31, %33 : tensor<8x128xf32>
    %35 = qlr.vector_ref @model.layers.0.mlp_out.signs : tensor<128xf32>
    %36 = qlr.rotate %34, %35 : tensor<8x128xf32>, tensor<128xf32> -> !qlr.act<8x128, block = 128, sums = 128, rotation = 128>
    %37 = qlr.weight_ref @model.layers.0.mlp.down_proj : !qlr.weight<64x128, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 128>
    %38 = qlr.linear %36, %37 : !qlr.act<8x128, block = 128, sums = 128, rotation = 128>, !qlr.weight<64x128, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 128> -> tensor<8x64xf32>
    %39 = qlr.add %25, %38 : tensor<8x64xf32>
    %40 = qlr.vector_ref @model.layers.1.input_layernorm.weight : tensor<64xf32>
    %41 = qlr.rms_norm %39, %40 {eps = 1.0e-6 : f64} : tensor<8x64xf32>, tensor<64xf32>
    %42 = qlr.vector_ref @model.layers.1.attn_in.signs : tensor<64xf32>
    %43 = qlr.rotate %41, %42 : tensor<8x64xf32>, tensor<64xf32> -> !qlr.act<8x64, block = 128, sums = 128, rotation = 64>
    %44 = qlr.weight_ref @model.layers.1.self_attn.q_proj : !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %45 = qlr.vector_ref @model.layers.1.self_attn.q_proj.bias : tensor<64xf32>
    %46 = qlr.linear %43, %44, %45 : !qlr.act<8x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>, tensor<64xf32> -> tensor<8x64xf32>
    %47 = qlr.weight_ref @model.layers.1.self_attn.k_proj : !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %48 = qlr.vector_ref @model.layers.1.self_attn.k_proj.bias : tensor<32xf32>
    %49 = qlr.linear %43, %47, %48 : !qlr.act<8x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>, tensor<32xf32> -> tensor<8x32xf32>
    %50 = qlr.weight_ref @model.layers.1.self_attn.v_proj : !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %51 = qlr.vector_ref @model.layers.1.self_attn.v_proj.bias : tensor<32xf32>
    %52 = qlr.linear %43, %50, %51 : !qlr.act<8x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<32x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>, tensor<32xf32> -> tensor<8x32xf32>
    %53 = qlr.rope %46, %pos {heads = 4 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : tensor<8x64xf32>
    %54 = qlr.rope %49, %pos {heads = 2 : i64, head_dim = 16 : i64, theta = 1.0e6 : f64} : tensor<8x32xf32>
    %55 = qlr.cache_layer %cache {layer = 1 : i64} : !qlr.cache<2, 2, 16, bf16> -> !qlr.cache<1, 2, 16, bf16>
    %56 = qlr.cache_append %55, %54, %52, %pos : !qlr.cache<1, 2, 16, bf16>, tensor<8x32xf32>, tensor<8x32xf32>
    %57 = qlr.attention %53, %56, %pos {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 16 : i64} : tensor<8x64xf32>, !qlr.cache<1, 2, 16, bf16>
    %58 = qlr.vector_ref @model.layers.1.attn_out.signs : tensor<64xf32>
    %59 = qlr.rotate %57, %58 : tensor<8x64xf32>, tensor<64xf32> -> !qlr.act<8x64, block = 128, sums = 128, rotation = 64>
    %60 = qlr.weight_ref @model.layers.1.self_attn.o_proj : !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %61 = qlr.linear %59, %60 : !qlr.act<8x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<64x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> -> tensor<8x64xf32>
    %62 = qlr.add %39, %61 : tensor<8x64xf32>
    %63 = qlr.vector_ref @model.layers.1.post_attention_layernorm.weight : tensor<64xf32>
    %64 = qlr.rms_norm %62, %63 {eps = 1.0e-6 : f64} : tensor<8x64xf32>, tensor<64xf32>
    %65 = qlr.vector_ref @model.layers.1.mlp_in.signs : tensor<64xf32>
    %66 = qlr.rotate %64, %65 : tensor<8x64xf32>, tensor<64xf32> -> !qlr.act<8x64, block = 128, sums = 128, rotation = 64>
    %67 = qlr.weight_ref @model.layers.1.mlp.gate_proj : !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %68 = qlr.linear %66, %67 : !qlr.act<8x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> -> tensor<8x128xf32>
    %69 = qlr.weight_ref @model.layers.1.mlp.up_proj : !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64>
    %70 = qlr.linear %66, %69 : !qlr.act<8x64, block = 128, sums = 128, rotation = 64>, !qlr.weight<128x64, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 64> -> tensor<8x128xf32>
    %71 = qlr.swiglu %68, %70 : tensor<8x128xf32>
    %72 = qlr.vector_ref @model.layers.1.mlp_out.signs : tensor<128xf32>
    %73 = qlr.rotate %71, %72 : tensor<8x128xf32>, tensor<128xf32> -> !qlr.act<8x128, block = 128, sums = 128, rotation = 128>
    %74 = qlr.weight_ref @model.layers.1.mlp.down_proj : !qlr.weight<64x128, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 128>
    %75 = qlr.linear %73, %74 : !qlr.act<8x128, block = 128, sums = 128, rotation = 128>, !qlr.weight<64x128, q = #qlr.trellis<bits = 2>, rank = 8, factors = #qlr.int<bits = 4>, rotation = 128> -> tensor<8x64xf32>
    %76 = qlr.add %62, %75 : tensor<8x64xf32>
    %77 = qlr.last_token %76 : tensor<8x64xf32> -> tensor<1x64xf32>
    %78 = qlr.vector_ref @model.norm.weight : tensor<64xf32>
    %79 = qlr.rms_norm %77, %78 {eps = 1.0e-6 : f64} : tensor<1x64xf32>, tensor<64xf32>
    %80 = qlr.rotate %79 : tensor<1x64xf32> -> !qlr.act<1x64, block = 128, sums = 128, rotation = 0>
    %81 = qlr.weight_ref @model.embed_tokens : !qlr.weight<320x64, q = #qlr.int<bits = 8>>
    %82 = qlr.linear %80, %81 : !qlr.act<1x64, block = 128, sums = 128, rotation = 0>, !qlr.weight<320x64, q = #qlr.int<bits = 8>> -> tensor<1x320xf32>
    return %82 : tensor<1x320xf32>
  }
}
