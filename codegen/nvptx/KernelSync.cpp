// Tickets, stage counters and arrival counters of KernelSync.h.
#include "codegen/nvptx/KernelSync.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace qlr {

Value KernelSync::word(int64_t index) { return e.at(area, 4 * index); }

void KernelSync::forItems(int64_t total, llvm::function_ref<void(Value)> body) {
  if (!area) {
    e.loop(e.block(), e.c32(total), e.blocks(), [&](Value item) {
      body(item);
      if (e.sharedBytes())
        e.barrier(); // the next item uses the same shared memory
    });
    return;
  }
  broadcast = e.shared(4);
  auto claim = [&]() -> Value {
    e.when(e.eq(e.tid(), 0), [&] {
      Value ticket = e.callSnippet("atom_relaxed_gpu_add_u32", e.i32(), {word(kTicketWord), e.c32(1)});
      e.store(ticket, broadcast, 4);
    });
    e.barrier();
    Value ticket = e.load(e.i32(), broadcast, 4);
    e.barrier(); // everyone has read it before it is overwritten
    return ticket;
  };
  // The ticket that ends the loop is beyond the last item, so counters up to total + blocks must fit 32 bits.
  scf::WhileOp::create(
      e.b, TypeRange(e.i32()), ValueRange(),
      [&](OpBuilder &inner, Location, ValueRange) {
        OpBuilder::InsertionGuard guard(e.b);
        e.b.restoreInsertionPoint(inner.saveInsertionPoint());
        Value ticket = claim();
        scf::ConditionOp::create(e.b, e.ult(ticket, total), ticket);
      },
      [&](OpBuilder &inner, Location, ValueRange carried) {
        OpBuilder::InsertionGuard guard(e.b);
        e.b.restoreInsertionPoint(inner.saveInsertionPoint());
        body(carried[0]);
        scf::YieldOp::create(e.b);
      });
  // The last block to leave resets what all have used; the others have taken their last ticket.
  e.when(e.eq(e.tid(), 0), [&] {
    Value before = e.callSnippet("atom_acq_rel_gpu_add_u32", e.i32(), {word(kExitWord), e.c32(1)});
    Value isLast = arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, e.add(before, 1), e.blocks());
    e.when(isLast, [&] {
      for (int64_t i = 0; i < kStageWords + stages; ++i)
        e.store(e.c32(0), word(i), 4);
    });
  });
}

void KernelSync::waitForStage(int64_t stage, int64_t items) {
  e.when(e.eq(e.tid(), 0), [&] {
    auto behind = [&]() -> Value {
      return e.ult(e.callSnippet("ld_acquire_gpu_u32", e.i32(), word(kStageWords + stage)), items);
    };
    e.repeatWhile(behind, [&] { e.callSnippet("nanosleep", Type(), e.c32(64)); });
  });
  e.barrier();
}

void KernelSync::finishItem(int64_t stage) {
  // The barrier puts what every thread has written before the release of thread 0.
  e.barrier();
  e.when(e.eq(e.tid(), 0),
         [&] { e.callSnippet("red_release_gpu_add_u32", Type(), {word(kStageWords + stage), e.c32(1)}); });
}

Value KernelSync::arriveLast(Value arrival, int64_t count) {
  Value counter = e.at(word(kStageWords + stages + firstArrival), arrival, 4);
  e.barrier();
  e.when(e.eq(e.tid(), 0), [&] {
    Value before = e.callSnippet("atom_acq_rel_gpu_add_u32", e.i32(), {counter, e.c32(1)});
    Value isLast = e.eq(before, count - 1);
    e.when(isLast, [&] { e.store(e.c32(0), counter, 4); });
    e.store(arith::ExtUIOp::create(e.b, e.i32(), isLast), broadcast, 4);
  });
  e.barrier();
  Value isLast = e.eq(e.load(e.i32(), broadcast, 4), 1);
  e.barrier();
  return isLast;
}

} // namespace qlr
