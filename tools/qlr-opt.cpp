// Runs passes of the qlr dialect (and upstream's, as far as tests need them) on MLIR files.
#include "codegen/Target.h"
#include "dialect/Qlr.h"
#include "passes/Passes.h"
#include "passes/Pipelines.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

#ifndef NDEBUG
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Debug.h"

// Installed LLVM libraries have no -debug-only; with assertions ours shows the LDBG() lines of our passes.
static llvm::cl::list<std::string> debugOnly("debug-only", llvm::cl::CommaSeparated,
                                             llvm::cl::desc("debug types to print"),
                                             llvm::cl::cb<void, std::string>([](const std::string &) {
                                               llvm::DebugFlag = true;
                                               llvm::SmallVector<const char *> types;
                                               for (const std::string &type : debugOnly)
                                                 types.push_back(type.c_str());
                                               llvm::setCurrentDebugTypes(types.data(), types.size());
                                             }));
#endif

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<qlr::QlrDialect, mlir::func::FuncDialect>();
  mlir::registerCanonicalizerPass();
  mlir::registerCSEPass();
  qlr::registerQlrPasses();
  qlr::registerQlrPipelines();
  qlr::registerTargetInterfaces(registry);
  qlr::registerTargetPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "qlr optimizer\n", registry));
}
