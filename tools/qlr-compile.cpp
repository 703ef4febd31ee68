// qlr compile DIR --target T -o M.qlr: a model directory to an artifact, or the IR between.
#include "codegen/Compile.h"
#include "runtime/format/Error.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"

namespace cl = llvm::cl;

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::OptionCategory category("qlr compile");
  qlr::CompileOptions options;
  cl::opt<std::string, true> model(cl::Positional, cl::desc("DIR"), cl::Required, cl::location(options.model),
                                   cl::cat(category));
  cl::opt<std::string, true> target(
      "target",
      cl::desc("machines to compile for, separated by commas: host, sm_80, sm_86, sm_89, sm_90, "
               "emulator:sm_86, ..."),
      cl::location(options.target), cl::cat(category));
  cl::opt<std::string, true> output("o", cl::desc("artifact to write; with --emit a text file, - for standard output"),
                                    cl::value_desc("FILE"), cl::location(options.output), cl::cat(category));
  cl::opt<qlr::Emit, true> emit("emit", cl::desc("stop and print:"), cl::location(options.emit), cl::cat(category),
                                cl::values(clEnumValN(qlr::Emit::Mlir, "mlir", "MLIR, see --emit-stage"),
                                           clEnumValN(qlr::Emit::Llvm, "llvm", "LLVM IR of the kernels"),
                                           clEnumValN(qlr::Emit::Asm, "asm", "assembly of the kernels"),
                                           clEnumValN(qlr::Emit::Asm, "ptx", "the same, for GPU targets")));
  cl::opt<std::string, true> stage("emit-stage", cl::desc("graph, kernels, planned or lowered (with --emit=mlir)"),
                                   cl::location(options.emitStage), cl::cat(category));
  cl::opt<std::string, true> form("form", cl::desc("fused, two-stage or unfused"), cl::location(options.form),
                                  cl::cat(category));
  cl::opt<std::string> cache("cache", cl::desc("element type of the key/value cache: bf16 or f32"), cl::init("bf16"),
                             cl::cat(category));
  cl::list<int64_t> chunks("chunks", cl::desc("tokens that are taken through the model at a time (default 1,8,128)"),
                           cl::CommaSeparated, cl::cat(category));
  cl::opt<bool> noWeights("no-weights", cl::desc("plan and kernels only"), cl::cat(category));
  cl::opt<std::string, true> tuneDb("tune-db", cl::desc("measured variants (passes/TuningDatabase.h)"),
                                    cl::value_desc("FILE"), cl::location(options.tuneDb), cl::cat(category));
  cl::opt<std::string, true> multiply("multiply", cl::desc("GPU targets: dp4a, imma or hmma wherever it fits"),
                                      cl::location(options.multiply), cl::cat(category));
  cl::opt<std::string, true> decode("decode",
                                    cl::desc("GPU targets: alu, lut2, lut2x32 or lut4 where the codec has it"),
                                    cl::location(options.decode), cl::cat(category));
  cl::opt<int64_t, true> splits("splits", cl::desc("GPU targets: items that share a result (0: chosen)"),
                                cl::location(options.splits), cl::cat(category));
  cl::opt<std::string, true> ir("ir", cl::desc("go on from this qlr IR instead of importing the model"),
                                cl::value_desc("FILE"), cl::location(options.ir), cl::cat(category));
  mlir::registerAsmPrinterCLOptions();
  mlir::registerMLIRContextCLOptions();
  mlir::registerPassManagerCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  cl::SetVersionPrinter([](llvm::raw_ostream &out) { out << "qlr " QLR_VERSION "\n"; });
  // LLVM's libraries bring hundreds of their own.
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(argc, argv,
                              "qlr compile: a model directory to an artifact\n"
                              "MLIR's and LLVM's own options are taken, too (--mlir-print-ir-after-all, "
                              "--mlir-timing, ...; see mlir-opt --help)\n");
  options.f32Cache = cache == "f32";
  options.weights = !noWeights;
  try {
    if (cache != "bf16" && cache != "f32")
      qlr::fail({.found = "--cache " + cache.getValue(), .expected = "bf16 or f32"});
    if (!llvm::is_contained({"fused", "two-stage", "unfused"}, options.form))
      qlr::fail({.found = "--form " + options.form, .expected = "fused, two-stage or unfused"});
    if (!llvm::is_contained({"", "dp4a", "imma", "hmma"}, options.multiply))
      qlr::fail({.found = "--multiply " + options.multiply, .expected = "dp4a, imma or hmma"});
    if (!llvm::is_contained({"", "alu", "lut2", "lut2x32", "lut4"}, options.decode))
      qlr::fail({.found = "--decode " + options.decode, .expected = "alu, lut2, lut2x32 or lut4"});
    if (!llvm::is_contained({"graph", "kernels", "planned", "lowered"}, options.emitStage))
      qlr::fail({.found = "--emit-stage " + options.emitStage, .expected = "graph, kernels, planned or lowered"});
    if (!chunks.empty()) {
      options.chunks.assign(chunks.begin(), chunks.end());
      llvm::sort(options.chunks);
      if (options.chunks.front() != 1 || options.chunks.back() > 128 ||
          std::adjacent_find(options.chunks.begin(), options.chunks.end()) != options.chunks.end())
        qlr::fail({.found = "--chunks " +
                            llvm::join(llvm::map_range(chunks, [](int64_t n) { return std::to_string(n); }), ","),
                   .expected = "different numbers from 1 to 128, 1 among them"});
    }
    if (options.output.empty()) {
      if (options.emit == qlr::Emit::Artifact)
        qlr::fail({.found = "no output", .expected = "-o FILE"});
      options.output = "-";
    }
    qlr::compileModel(options);
  } catch (const std::exception &error) {
    llvm::errs() << "error: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
