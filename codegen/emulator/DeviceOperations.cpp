// The table of what only a GPU has: one line per intrinsic and per inline PTX snippet, with its model on the host.
#include "codegen/emulator/ScalarOperations.h"
#include "codegen/nvptx/Snippets.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/IR/InlineAsm.h"

#include <functional>

using namespace llvm;

namespace qlr {
namespace {

using Model = std::function<Value *(KernelRewriter &, CallInst &)>;

Value *argument(CallInst &call, unsigned i) { return call.getArgOperand(i); }
SmallVector<Value *> arguments(CallInst &call) { return SmallVector<Value *>(call.args()); }

StringRef nameOf(CallInst &call) {
  Function *callee = call.getCalledFunction();
  return callee ? shortName(callee->getName()) : "inline PTX";
}

Value *siteOf(KernelRewriter &r, CallInst &call) { return r.site(call, nameOf(call)); }

Model field(size_t offset) {
  return [offset](KernelRewriter &r, CallInst &call) { return r.threadField(offset, call.getType()); };
}

Model constant(uint32_t value) {
  return [value](KernelRewriter &r, CallInst &) { return r.word(value); };
}

/// Lanes below, at and above this one, as a mask.
Model laneMask(bool below, bool at, bool above) {
  return [=](KernelRewriter &r, CallInst &call) -> Value * {
    Value *own = r.builder.CreateShl(r.word(1), r.threadField(offsetof(EmulatorThread, lane), call.getType()));
    Value *under = r.builder.CreateSub(own, r.word(1));
    Value *mask = r.word(0);
    if (below)
      mask = r.builder.CreateOr(mask, under);
    if (at)
      mask = r.builder.CreateOr(mask, own);
    if (above)
      mask = r.builder.CreateOr(mask, r.builder.CreateNot(r.builder.CreateOr(under, own)));
    return mask;
  };
}

Model function(EmulatorOp op) {
  return [op](KernelRewriter &r, CallInst &call) -> Value * {
    if (!call.getType()->isFloatTy()) {
      r.refuse((nameOf(call) + " of another type than float").str());
      return PoisonValue::get(call.getType());
    }
    return r.call(op, call.getType(), {argument(call, 0)});
  };
}

/// A collective whose words are the call's arguments in the order `order` (empty: as they are), after `first`.
Model collective(EmulatorOp op, std::initializer_list<uint32_t> first = {},
                 std::initializer_list<unsigned> order = {}) {
  SmallVector<uint32_t> constants(first);
  SmallVector<unsigned> permutation(order);
  return [=](KernelRewriter &r, CallInst &call) -> Value * {
    SmallVector<Value *> words;
    for (uint32_t value : constants)
      words.push_back(r.word(value));
    if (permutation.empty())
      append_range(words, call.args());
    for (unsigned i : permutation)
      words.push_back(argument(call, i));
    r.collective(op, words, siteOf(r, call));
    return call.getType()->isVoidTy() ? nullptr : r.results(call.getType());
  };
}

/// A barrier of the whole block: id, no number of threads, and what more there is.
Model wholeBarrier(EmulatorOp op, bool hasId) {
  return [=](KernelRewriter &r, CallInst &call) -> Value * {
    SmallVector<Value *> words = {hasId ? argument(call, 0) : r.word(0), r.word(0)};
    for (unsigned i = hasId ? 1 : 0; i < call.arg_size(); ++i)
      words.push_back(argument(call, i));
    r.collective(op, words, siteOf(r, call));
    return call.getType()->isVoidTy() ? nullptr : r.results(call.getType());
  };
}

Model copyAsync(uint32_t bytes) {
  return [bytes](KernelRewriter &r, CallInst &call) -> Value * {
    Value *read = call.arg_size() > 2 ? argument(call, 2) : r.word(bytes);
    return r.call(EmulatorOp::CopyAsync, r.builder.getVoidTy(),
                  {argument(call, 0), argument(call, 1), r.word(bytes | r.parameter(argument(call, 1)) << 8), read,
                   r.site(call, nameOf(call), argument(call, 1))});
  };
}

/// An operation without a site, with the call's arguments.
Model plain(EmulatorOp op, std::initializer_list<uint32_t> extra = {}) {
  SmallVector<uint32_t> constants(extra);
  return [=](KernelRewriter &r, CallInst &call) -> Value * {
    SmallVector<Value *> all = arguments(call);
    for (uint32_t value : constants)
      all.push_back(r.word(value));
    return r.call(op, r.builder.getVoidTy(), all);
  };
}

Model nothing() {
  return [](KernelRewriter &, CallInst &) -> Value * { return nullptr; };
}

/// An instruction of LLVM's own that computes the same.
Model intrinsic(Intrinsic::ID id) {
  return [id](KernelRewriter &r, CallInst &call) -> Value * {
    return r.builder.CreateIntrinsic(id, {call.getType()}, arguments(call));
  };
}

Model scalar(Value *(*emit)(IRBuilder<> &, ArrayRef<Value *>)) {
  return [emit](KernelRewriter &r, CallInst &call) { return emit(r.builder, arguments(call)); };
}

const StringMap<Model> &intrinsics() {
  static const StringMap<Model> table = [] {
    StringMap<Model> t;
    // Special registers: launches have one dimension.
    t["read.ptx.sreg.tid.x"] = field(offsetof(EmulatorThread, tid));
    t["read.ptx.sreg.ntid.x"] = field(offsetof(EmulatorThread, threads));
    t["read.ptx.sreg.ctaid.x"] = field(offsetof(EmulatorThread, block));
    t["read.ptx.sreg.nctaid.x"] = field(offsetof(EmulatorThread, blocks));
    t["read.ptx.sreg.laneid"] = field(offsetof(EmulatorThread, lane));
    t["read.ptx.sreg.warpid"] = field(offsetof(EmulatorThread, warp));
    t["read.ptx.sreg.warpsize"] = constant(32);
    for (const char *axis : {"y", "z"}) {
      t[(Twine("read.ptx.sreg.tid.") + axis).str()] = t[(Twine("read.ptx.sreg.ctaid.") + axis).str()] = constant(0);
      t[(Twine("read.ptx.sreg.ntid.") + axis).str()] = t[(Twine("read.ptx.sreg.nctaid.") + axis).str()] = constant(1);
    }
    t["read.ptx.sreg.lanemask.eq"] = laneMask(false, true, false);
    t["read.ptx.sreg.lanemask.lt"] = laneMask(true, false, false);
    t["read.ptx.sreg.lanemask.le"] = laneMask(true, true, false);
    t["read.ptx.sreg.lanemask.gt"] = laneMask(false, false, true);
    t["read.ptx.sreg.lanemask.ge"] = laneMask(false, true, true);

    // Barriers. Only the aligned forms: the others allow what this emulator calls divergence.
    t["barrier0"] = wholeBarrier(EmulatorOp::Barrier, false);
    t["barrier.cta.sync.aligned.all"] = wholeBarrier(EmulatorOp::Barrier, true);
    t["barrier.cta.sync.aligned.count"] = collective(EmulatorOp::Barrier);
    t["barrier.cta.arrive.aligned.count"] = collective(EmulatorOp::BarrierArrive);
    t["barrier.cta.red.and.aligned.all"] = wholeBarrier(EmulatorOp::BarrierAnd, true);
    t["barrier.cta.red.or.aligned.all"] = wholeBarrier(EmulatorOp::BarrierOr, true);
    t["barrier.cta.red.popc.aligned.all"] = wholeBarrier(EmulatorOp::BarrierPopc, true);
    t["barrier.cta.red.and.aligned.count"] = collective(EmulatorOp::BarrierAnd);
    t["barrier.cta.red.or.aligned.count"] = collective(EmulatorOp::BarrierOr);
    t["barrier.cta.red.popc.aligned.count"] = collective(EmulatorOp::BarrierPopc);
    t["bar.warp.sync"] = collective(EmulatorOp::WarpBarrier);
    constexpr uint32_t both = EmulatorAcquire | EmulatorRelease;
    t["membar.cta"] = t["membar.gl"] = t["membar.sys"] = plain(EmulatorOp::Fence, {both});

    // Between the lanes of a warp. A name's suffix p adds the predicate, the second result.
    for (auto [mode, op] : {std::pair("idx", EmulatorOp::ShuffleIdx), std::pair("up", EmulatorOp::ShuffleUp),
                            std::pair("down", EmulatorOp::ShuffleDown), std::pair("bfly", EmulatorOp::ShuffleBfly)})
      for (const char *type : {"i32", "f32", "i32p", "f32p"})
        t[(Twine("shfl.sync.") + mode + "." + type).str()] = collective(op);
    t["vote.any.sync"] = collective(EmulatorOp::VoteAny);
    t["vote.all.sync"] = collective(EmulatorOp::VoteAll);
    t["vote.uni.sync"] = collective(EmulatorOp::VoteUni);
    t["vote.ballot.sync"] = collective(EmulatorOp::VoteBallot);
    t["match.any.sync.i32"] = collective(EmulatorOp::MatchAny);
    for (auto [name, op] : {std::pair("add", EmulatorOp::ReduxAdd), std::pair("min", EmulatorOp::ReduxMin),
                            std::pair("max", EmulatorOp::ReduxMax), std::pair("umin", EmulatorOp::ReduxUMin),
                            std::pair("umax", EmulatorOp::ReduxUMax), std::pair("and", EmulatorOp::ReduxAnd),
                            std::pair("or", EmulatorOp::ReduxOr), std::pair("xor", EmulatorOp::ReduxXor)})
      t[(Twine("redux.sync.") + name).str()] = collective(op, {}, {1, 0});

    // Matrices.
    t["mma.m16n8k16.row.col.f32.f32"] = collective(EmulatorOp::MmaF16, {16});
    t["mma.m16n8k8.row.col.f32.f32"] = collective(EmulatorOp::MmaF16, {8});
    t["mma.m16n8k16.row.col.bf16"] = collective(EmulatorOp::MmaBf16, {16});
    t["mma.m16n8k8.row.col.bf16"] = collective(EmulatorOp::MmaBf16, {8});
    for (uint32_t k : {16u, 32u})
      for (auto [types, bits] :
           {std::pair("s8", 0u), std::pair("u8.s8", 1u), std::pair("s8.u8", 2u), std::pair("u8", 3u)})
        t[("mma.m16n8k" + Twine(k) + ".row.col." + types).str()] = collective(EmulatorOp::MmaInt8, {k | bits << 8});
    for (uint32_t count : {1u, 2u, 4u})
      for (uint32_t transposed : {0u, 1u})
        t[("ldmatrix.sync.aligned.m8n8.x" + Twine(count) + (transposed ? ".trans" : "") + ".b16").str()] =
            collective(EmulatorOp::LoadMatrix, {count | transposed << 8});

    // Asynchronous copies.
    for (uint32_t bytes : {4u, 8u, 16u})
      for (const char *cache : {"ca", "cg"})
        for (const char *suffix : {"", ".s"})
          t[(Twine("cp.async.") + cache + ".shared.global." + Twine(bytes) + suffix).str()] = copyAsync(bytes);
    t["cp.async.commit.group"] = plain(EmulatorOp::CopyAsyncCommit);
    t["cp.async.wait.group"] = plain(EmulatorOp::CopyAsyncWait);
    t["cp.async.wait.all"] = plain(EmulatorOp::CopyAsyncWaitAll);
    // Launches are ordered, whatever a kernel says of its dependents.
    t["griddepcontrol.wait"] = t["griddepcontrol.launch.dependents"] = nothing();

    // Of one lane.
    t["idp4a.s.s"] = scalar([](IRBuilder<> &b, ArrayRef<Value *> v) { return emitDot4(b, v, true, true); });
    t["idp4a.u.s"] = scalar([](IRBuilder<> &b, ArrayRef<Value *> v) { return emitDot4(b, v, false, true); });
    t["idp4a.s.u"] = scalar([](IRBuilder<> &b, ArrayRef<Value *> v) { return emitDot4(b, v, true, false); });
    t["idp4a.u.u"] = scalar([](IRBuilder<> &b, ArrayRef<Value *> v) { return emitDot4(b, v, false, false); });
    t["prmt"] = scalar(emitPermute);
    for (auto [name, mode] : {std::pair("f4e", PermuteMode::Forward4), std::pair("b4e", PermuteMode::Backward4),
                              std::pair("rc8", PermuteMode::Replicate8), std::pair("rc16", PermuteMode::Replicate16),
                              std::pair("ecl", PermuteMode::EdgeLeft), std::pair("ecr", PermuteMode::EdgeRight)}) {
      PermuteMode which = mode;
      t[(Twine("prmt.") + name).str()] = [which](KernelRewriter &r, CallInst &call) {
        return emitPermuteMode(r.builder, arguments(call), which);
      };
    }
    t["mulhi.i"] = scalar([](IRBuilder<> &b, ArrayRef<Value *> v) { return emitHighProduct(b, v, true); });
    t["mulhi.ui"] = scalar([](IRBuilder<> &b, ArrayRef<Value *> v) { return emitHighProduct(b, v, false); });
    t["fma.rn.f"] = intrinsic(Intrinsic::fma);
    t["fma.rn.ftz.f"] = scalar([](IRBuilder<> &b, ArrayRef<Value *> v) { return emitFlushedFma(b, v); });
    t["sqrt.rn.f"] = t["sqrt.f"] = intrinsic(Intrinsic::sqrt);
    t["fabs.f"] = t["fabs"] = intrinsic(Intrinsic::fabs);
    t["fmin.f"] = intrinsic(Intrinsic::minnum);
    t["fmax.f"] = intrinsic(Intrinsic::maxnum);
    t["add.rn.f"] = scalar([](IRBuilder<> &b, ArrayRef<Value *> v) { return b.CreateFAdd(v[0], v[1]); });
    t["mul.rn.f"] = scalar([](IRBuilder<> &b, ArrayRef<Value *> v) { return b.CreateFMul(v[0], v[1]); });
    t["div.rn.f"] = scalar([](IRBuilder<> &b, ArrayRef<Value *> v) { return b.CreateFDiv(v[0], v[1]); });
    t["rcp.rn.f"] = scalar(
        [](IRBuilder<> &b, ArrayRef<Value *> v) { return b.CreateFDiv(ConstantFP::get(v[0]->getType(), 1.0), v[0]); });
    // LLVM's exp2 of a float is ex2.approx on this target.
    t["ex2.approx.f32"] = t["ex2.approx.f"] = t["exp2.f32"] = function(EmulatorOp::Ex2);
    t["ex2.approx.ftz.f32"] = t["ex2.approx.ftz.f"] = function(EmulatorOp::Ex2Ftz);
    t["lg2.approx.f"] = t["log2.f32"] = function(EmulatorOp::Lg2);
    t["lg2.approx.ftz.f"] = function(EmulatorOp::Lg2Ftz);
    t["rsqrt.approx.f"] = function(EmulatorOp::Rsqrt);
    t["rsqrt.approx.ftz.f"] = function(EmulatorOp::RsqrtFtz);
    t["rcp.approx.f"] = function(EmulatorOp::Rcp);
    t["rcp.approx.ftz.f"] = function(EmulatorOp::RcpFtz);
    t["sqrt.approx.f"] = function(EmulatorOp::Sqrt);
    t["sqrt.approx.ftz.f"] = function(EmulatorOp::SqrtFtz);
    t["sin.approx.f"] = t["sin.f32"] = function(EmulatorOp::Sin);
    t["cos.approx.f"] = t["cos.f32"] = function(EmulatorOp::Cos);
    t["trap"] = t["debugtrap"] = [](KernelRewriter &r, CallInst &call) {
      return r.call(EmulatorOp::Trap, r.builder.getVoidTy(), {siteOf(r, call)});
    };
    t["nanosleep"] = [](KernelRewriter &r, CallInst &call) {
      return r.call(EmulatorOp::Pause, r.builder.getVoidTy(), {siteOf(r, call)});
    };
    return t;
  }();
  return table;
}

/// An atomic snippet: the operation on (address, value).
Model atomicSnippet(const char *name, EmulatorAtomic operation, uint32_t order) {
  return [=](KernelRewriter &r, CallInst &call) -> Value * {
    uint32_t what = emulatorAtomic(operation, order, 4, EmulatorSpace::Global, r.parameter(argument(call, 0)));
    Value *zero = r.builder.getInt64(0);
    Value *value = call.arg_size() > 1 ? r.builder.CreateZExt(argument(call, 1), r.builder.getInt64Ty()) : zero;
    Value *old = r.call(EmulatorOp::Atomic, r.builder.getInt64Ty(),
                        {argument(call, 0), r.word(what), value, zero, r.site(call, name, argument(call, 0))});
    return call.getType()->isVoidTy() ? nullptr : r.builder.CreateTrunc(old, call.getType());
  };
}

/// A load of `count` words as a struct.
Model loadSnippet(const char *name, unsigned count) {
  return [=](KernelRewriter &r, CallInst &call) -> Value * {
    uint32_t bytes = 4 * count;
    r.call(EmulatorOp::Read, r.builder.getVoidTy(),
           {argument(call, 0),
            r.word(emulatorAccess(bytes, Log2_32(bytes), EmulatorSpace::Global, r.parameter(argument(call, 0)))),
            r.site(call, name, argument(call, 0))});
    Value *value = PoisonValue::get(call.getType());
    for (unsigned i = 0; i < count; ++i) {
      Value *address = r.builder.CreateConstInBoundsGEP1_64(r.builder.getInt32Ty(), argument(call, 0), i);
      Value *element = r.builder.CreateAlignedLoad(r.builder.getInt32Ty(), address, Align(4));
      value = count == 1 ? element : r.builder.CreateInsertValue(value, element, i);
    }
    return value;
  };
}

/// By the name of the snippet.
const StringMap<Model> &snippets() {
  static const StringMap<Model> table = [] {
    StringMap<Model> t;
    auto atomic = [&t](const char *name, EmulatorAtomic operation, uint32_t order) {
      t[name] = atomicSnippet(name, operation, order);
    };
    constexpr uint32_t both = EmulatorAcquire | EmulatorRelease;
    atomic("ld_acquire_gpu_u32", EmulatorAtomic::Load, EmulatorAcquire);
    atomic("ld_relaxed_gpu_u32", EmulatorAtomic::Load, EmulatorRelaxed);
    atomic("red_release_gpu_add_u32", EmulatorAtomic::Add, EmulatorRelease);
    atomic("red_relaxed_gpu_add_u32", EmulatorAtomic::Add, EmulatorRelaxed);
    atomic("atom_acq_rel_gpu_add_u32", EmulatorAtomic::Add, both);
    atomic("atom_acquire_gpu_add_u32", EmulatorAtomic::Add, EmulatorAcquire);
    atomic("atom_release_gpu_add_u32", EmulatorAtomic::Add, EmulatorRelease);
    atomic("atom_relaxed_gpu_add_u32", EmulatorAtomic::Add, EmulatorRelaxed);
    t["ld_stream_v4_u32"] = loadSnippet("ld_stream_v4_u32", 4);
    t["ld_stream_v2_u32"] = loadSnippet("ld_stream_v2_u32", 2);
    t["nanosleep"] = [](KernelRewriter &r, CallInst &call) {
      return r.call(EmulatorOp::Pause, r.builder.getVoidTy(), {r.site(call, "nanosleep")});
    };
    return t;
  }();
  return table;
}

/// Weaker forms of the snippets, which only kernels that were made wrong on purpose contain.
constexpr std::pair<StringLiteral, StringLiteral> kWeakened[] = {
    {"ld.relaxed.gpu.global.u32 $0, [$1];", "ld_relaxed_gpu_u32"},
    {"red.relaxed.gpu.global.add.u32 [$0], $1;", "red_relaxed_gpu_add_u32"},
    {"atom.acquire.gpu.global.add.u32 $0, [$1], $2;", "atom_acquire_gpu_add_u32"},
    {"atom.release.gpu.global.add.u32 $0, [$1], $2;", "atom_release_gpu_add_u32"},
};

/// The name of the snippet with this text, or nothing.
StringRef snippetName(StringRef text) {
  for (const Snippet &snippet : kSnippets)
    if (text == snippet.text)
      return snippet.name;
  for (auto [weak, name] : kWeakened)
    if (text == weak)
      return name;
  return "";
}

} // namespace

bool rewriteDeviceCall(KernelRewriter &rewriter, CallInst &call, Value *&value) {
  const StringMap<Model> *table;
  std::string name;
  if (auto *assembly = dyn_cast<InlineAsm>(call.getCalledOperand())) {
    table = &snippets();
    name = snippetName(assembly->getAsmString()).str();
  } else if (Function *callee = call.getCalledFunction()) {
    table = &intrinsics();
    // The address spaces of pointers at the end of a name say nothing that the types do not.
    StringRef base = shortName(callee->getName());
    while (base.ends_with(".p0") || base.ends_with(".p1") || base.ends_with(".p3"))
      base = base.drop_back(3);
    name = base.str();
  } else {
    return false;
  }
  auto found = table->find(name);
  if (found == table->end())
    return false;
  value = found->second(rewriter, call);
  return true;
}

} // namespace qlr
