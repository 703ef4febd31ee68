// One case per rule of the attributes' and types' descriptions.
// RUN: qlr-opt %s -split-input-file -verify-diagnostics

// int C1
// expected-error @+1 {{expects bits 2, 3, 4 or 8, got 5}}
func.func private @f() attributes {a = #qlr.int<bits = 5>}

// -----
// int C2
// expected-error @+1 {{expects group 0, 32, 64 or 128, got 48}}
func.func private @f() attributes {a = #qlr.int<bits = 4, group = 48>}

// -----
// trellis C1
// expected-error @+1 {{expects bits 2, 3 or 4, got 8}}
func.func private @f() attributes {a = #qlr.trellis<bits = 8>}

// -----
// trellis C2
// expected-error @+1 {{expects window 7 or 8, got 9}}
func.func private @f() attributes {a = #qlr.trellis<bits = 2, window = 9>}

// -----
// float C1
// expected-error @+1 {{expects bf16 or f32, got 'f16'}}
func.func private @f() attributes {a = #qlr.float<f16>}

// -----
// arg C1
// expected-error @+1 {{expects an offset of at least 0, got -64}}
func.func private @f() attributes {a = #qlr.arg<w, -64>}

// -----
// weight C1
// expected-error @+1 {{expects positive rows and columns, got 0x64}}
func.func private @f(!qlr.weight<0x64, q = #qlr.int<bits = 4>>)

// -----
// weight C2
// expected-error @+1 {{expects rank and factors together, got rank 8 without factors}}
func.func private @f(!qlr.weight<64x64, q = #qlr.int<bits = 4>, rank = 8>)

// -----
// weight C2
// expected-error @+1 {{expects rank and factors together, got rank 0 with factors}}
func.func private @f(!qlr.weight<64x64, q = #qlr.int<bits = 4>, factors = #qlr.int<bits = 4>>)

// -----
// weight C3
// expected-error @+1 {{expects factors of a codec with tiles, got #qlr.float<bf16>}}
func.func private @f(!qlr.weight<64x64, q = #qlr.int<bits = 4>, rank = 8, factors = #qlr.float<bf16>>)

// -----
// weight C4
// expected-error @+1 {{expects no low-rank branch and no rotation with #qlr.float<bf16>}}
func.func private @f(!qlr.weight<64x64, q = #qlr.float<bf16>, rotation = 64>)

// -----
// weight C5
// expected-error @+1 {{expects rotation 0 or a power of two up to 128 that divides 96, got 64}}
func.func private @f(!qlr.weight<64x96, q = #qlr.int<bits = 4>, rotation = 64>)

// -----
// weight C6
// expected-error @+1 {{expects at least two parts that sum to 64 rows, got 2 with sum 48}}
func.func private @f(!qlr.weight<64x64, q = #qlr.int<bits = 4>, parts = [32, 16]>)

// -----
// weight C6
// expected-error @+1 {{expects positive parts, got 0}}
func.func private @f(!qlr.weight<64x64, q = #qlr.int<bits = 4>, parts = [0, 64]>)

// -----
// weight C7
// expected-error @+1 {{expects every part but the last to be a multiple of 16 rows, got 24}}
func.func private @f(!qlr.weight<64x64, q = #qlr.int<bits = 4>, parts = [24, 40]>)

// -----
// The codec is not optional.
// expected-error @+1 {{expects q = a codec}}
func.func private @f(!qlr.weight<64x64, rotation = 64>)

// -----
// expected-error @+1 {{expects q, rank, factors, rotation or parts, got bits}}
func.func private @f(!qlr.weight<64x64, bits = 4>)

// -----
// expected-error @+1 {{expects two dimensions, got 1}}
func.func private @f(!qlr.weight<64, q = #qlr.int<bits = 4>>)

// -----
// act C1
// expected-error @+1 {{expects positive tokens and columns, got 0x64}}
func.func private @f(!qlr.act<0x64, block = 128, sums = 128, rotation = 0>)

// -----
// act C2
// expected-error @+1 {{expects block 128, got 64}}
func.func private @f(!qlr.act<8x64, block = 64, sums = 128, rotation = 0>)

// -----
// act C3
// expected-error @+1 {{expects sums 32, 64 or 128, got 16}}
func.func private @f(!qlr.act<8x64, block = 128, sums = 16, rotation = 0>)

// -----
// act C4
// expected-error @+1 {{expects rotation 0 or a power of two up to 128 that divides 64, got 128}}
func.func private @f(!qlr.act<8x64, block = 128, sums = 128, rotation = 128>)

// -----
// cache C1
// expected-error @+1 {{expects positive layers, heads and head dimension, got 2, 0, 64}}
func.func private @f(!qlr.cache<2, 0, 64, bf16>)

// -----
// cache C2
// expected-error @+1 {{expects bf16 or f32, got 'f16'}}
func.func private @f(!qlr.cache<2, 2, 64, f16>)
