// A fused kernel with a low-rank branch is one launch: items are claimed by tickets, projection first; products wait for
// the activations, stream their columns, and wait for t = R x' only before they add L t.
// RUN: qlr-opt %s --qlr-lower-to-nvptx=chip=sm_86 | FileCheck %s
// RUN: qlr-opt %s --qlr-lower-to-nvptx=chip=sm_90 | FileCheck %s --check-prefix=SM90
// RUN: qlr-opt %s --qlr-lower-to-nvptx --qlr-nvptx-to-llvm | FileCheck %s --check-prefix=LLVM
// RUN: not qlr-opt %s --qlr-lower-to-nvptx=chip=sm_75 2>&1 | FileCheck %s --check-prefix=OLD
// OLD: error: expects a chip such as sm_86, not below sm_80, got sm_75

!a = !qlr.act<1x512, block = 128, sums = 128, rotation = 128>
!w = !qlr.weight<256x512, q = #qlr.trellis<bits = 2>, rank = 16, factors = #qlr.int<bits = 4>, rotation = 128>
!x = tensor<1x512xf32>
!y = tensor<1x256xf32>

// CHECK: gpu.module @k
// The dynamic shared memory is external: a size of zero bytes in PTX would put it over other arrays.
// CHECK: llvm.mlir.global external @qlr_shared() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>
// x, signs' absence: 9 components of the weight, bias, y, activations, t and counters: one global pointer each.
// CHECK: llvm.func @k(
// CHECK-SAME: nvvm.kernel
// CHECK-SAME: nvvm.reqntid = array<i32: 256>
// CHECK-SAME: qlr.items = 4 : i64
// Tables are made before anything is claimed.
// CHECK: llvm.store {{.*}} : i32, !llvm.ptr<3>
// CHECK: "llvm.nvvm.barrier.cta.sync.aligned.all"
// The ticket.
// CHECK: scf.while
// CHECK: atom.relaxed.gpu.global.add.u32
// The rotation of 4 blocks is one item, which releases what it has written.
// CHECK: "llvm.nvvm.shfl.sync.bfly.f32"
// CHECK: red.release.gpu.global.add.u32
// The projection's item: waits for the rotation.
// CHECK: ld.acquire.gpu.global.u32
// CHECK: "llvm.nvvm.mma.m16n8k32.row.col.s8"
// CHECK: red.release.gpu.global.add.u32
// The product's items wait for the rotation, and for the projection when their columns are done.
// CHECK: ld.acquire.gpu.global.u32
// CHECK: ld.global.nc.L1::no_allocate.v4.u32
// CHECK: "llvm.nvvm.mma.m16n8k32.row.col.s8"
// CHECK: ld.acquire.gpu.global.u32
// CHECK: math.fma
// The last block to leave resets the counters.
// CHECK: atom.acq_rel.gpu.global.add.u32

// SM90: "llvm.nvvm.griddepcontrol.launch.dependents"
// SM90: "llvm.nvvm.griddepcontrol.wait"
// SM90: scf.while
// CHECK-NOT: griddepcontrol

// LLVM: llvm.func @k
// LLVM-NOT: {{scf|arith|math|unrealized}}.{{[a-z]}}
qlr.kernel_def @k(%x: !x, %w: !w, %b: tensor<256xf32>) -> !y attributes {qlr.sync_words = 5 : i64} {
  %a = qlr.stage blocks items 4 {
    %0 = qlr.rotate %x : !x -> !a
    qlr.yield %0 : !a
  } : !a
  %t = qlr.stage strips items 1 variant {multiply = "imma", splits = 1 : i64, strips = 8 : i64} {
    %0 = qlr.project %a, %w : !a, !w -> tensor<1x16xf32>
    qlr.yield %0 : tensor<1x16xf32>
  } : tensor<1x16xf32>
  %y = qlr.stage strips items 2 variant {multiply = "imma", splits = 1 : i64, strips = 8 : i64} {
    %0 = qlr.matmul %a, %w : !a, !w -> !y
    %1 = qlr.expand %0, %t, %w : !y, tensor<1x16xf32>, !w
    %2 = qlr.bias_add %1, %b : !y, tensor<256xf32>
    qlr.yield %2 : !y
  } : !y
  qlr.return %y : !y
}
