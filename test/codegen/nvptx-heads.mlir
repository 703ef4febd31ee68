// Stages over heads and blocks for a GPU: what is read how often, and in what pieces.
// RUN: qlr-opt %s --qlr-stage --qlr-select-variants="machine=gpu splits=2" --qlr-plan-sync --qlr-lower-to-nvptx=chip=sm_86 \
// RUN:   | FileCheck %s
// RUN: not qlr-opt %s --qlr-stage --qlr-select-variants="machine=gpu splits=2" --qlr-lower-to-nvptx 2>&1 \
// RUN:   | FileCheck %s --check-prefix=UNPLANNED
// UNPLANNED: was not planned for a GPU: run qlr-plan-sync before qlr-plan-buffers

!x = tensor<1x512xf32>
!c = !qlr.cache<1, 2, 64, bf16>

// A (token, kv head, split) is an item. A key is read once, 8 elements at a time, for its four query heads; four values are
// under way together.
// CHECK-LABEL: llvm.func @attention
// CHECK-SAME: qlr.items = 4
// CHECK: scf.for
// CHECK: scf.for
// CHECK: llvm.load {{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xi32>
// CHECK-NOT: llvm.load {{.*}}!llvm.ptr<1>
// CHECK-COUNT-8: llvm.load {{.*}} {alignment = 16 : i64} : !llvm.ptr<3> -> vector<4xf32>
// CHECK-NOT: llvm.load {{.*}}!llvm.ptr<1>
// CHECK: scf.for
// CHECK-COUNT-4: llvm.load {{.*}} {alignment = 4 : i64} : !llvm.ptr<1> -> i32
// CHECK-NOT: llvm.load {{.*}}!llvm.ptr<1>
// CHECK-COUNT-16: shfl.sync.idx.f32
// The last of the splits to arrive puts them together.
// CHECK: llvm.inline_asm {{.*}}atom.acq_rel.gpu
// CHECK: scf.if
qlr.kernel_def @attention(%q: !x, %c: !c, %p: tensor<i32>) -> !x {
  %o = qlr.attention %q, %c, %p {heads = 8 : i64, kv_heads = 2 : i64, head_dim = 64 : i64} : !x, !c
  qlr.return %o : !x
}

// A warp does a head; angles are fp64, from a table.
// CHECK: llvm.mlir.global internal constant @[[$T:.*]](dense<[{{.*}}]> : tensor<32xf64>) {addr_space = 1 : i32, alignment = 8 : i64}
// CHECK-LABEL: llvm.func @append
// CHECK-SAME: qlr.items = 1
// CHECK: llvm.mlir.addressof @[[$T]] : !llvm.ptr<1>
// CHECK: llvm.load {{.*}} invariant {alignment = 8 : i64} : !llvm.ptr<1> -> f64
// CHECK-COUNT-4: llvm.store {{.*}} {alignment = 2 : i64} : i16, !llvm.ptr<1>
// CHECK-NOT: llvm.store
qlr.kernel_def @append(%k: tensor<1x128xf32>, %v: tensor<1x128xf32>, %c: !c, %p: tensor<i32>) -> !c {
  %r = qlr.rope %k, %p {heads = 2 : i64, head_dim = 64 : i64, theta = 1.0e6 : f64} : tensor<1x128xf32>
  %o = qlr.cache_append %c, %r, %v, %p : !c, tensor<1x128xf32>, tensor<1x128xf32>
  qlr.return %o : !c
}

// Eight blocks of 128 columns are an item. Five strides of a Hadamard matrix are shuffles of the lane's four columns, two
// stay in the lane; five shuffles find the maximum.
// CHECK-LABEL: llvm.func @rotate
// CHECK-SAME: qlr.items = 1
// CHECK-COUNT-20: shfl.sync.bfly.f32
// CHECK-COUNT-5: shfl.sync.bfly.f32
// CHECK-NOT: shfl.sync
// CHECK: llvm.store {{.*}} : f32, !llvm.ptr<1>
// CHECK-COUNT-8: llvm.store {{.*}} {alignment = 1 : i64} : i8, !llvm.ptr<1>
// CHECK-NOT: llvm.store
qlr.kernel_def @rotate(%x: !x, %s: tensor<512xf32>) -> !qlr.act<1x512, block = 128, sums = 128, rotation = 128> {
  %a = qlr.rotate %x, %s : !x, tensor<512xf32> -> !qlr.act<1x512, block = 128, sums = 128, rotation = 128>
  qlr.return %a : !qlr.act<1x512, block = 128, sums = 128, rotation = 128>
}
