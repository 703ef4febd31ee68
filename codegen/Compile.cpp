// Import, passes, target, artifact.
#include "codegen/Compile.h"

#include "codegen/Import.h"
#include "codegen/PassOptions.h"
#include "codegen/PlanBuilder.h"
#include "codegen/WeightStream.h"
#include "dialect/Qlr.h"
#include "passes/Pipelines.h"
#include "runtime/format/Error.h"
#include "runtime/format/Hash.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/raw_ostream.h"

#include <chrono>

using namespace mlir;

namespace qlr {
namespace {

/// Loads all that can appear between import and the llvm dialect.
void prepareContext(MLIRContext &context) {
  DialectRegistry registry;
  registry.insert<QlrDialect, func::FuncDialect, arith::ArithDialect, math::MathDialect, scf::SCFDialect,
                  vector::VectorDialect, gpu::GPUDialect, LLVM::LLVMDialect, NVVM::NVVMDialect>();
  registerTargetInterfaces(registry);
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
}

OwningOpRef<ModuleOp> loadGraph(MLIRContext &context, const CompileOptions &options, const ModelConfig &config,
                                const Checkpoint &checkpoint, const QuantConfig *quant) {
  if (options.ir.empty()) {
    ImportOptions import;
    import.f32Cache = options.f32Cache;
    import.chunks = options.chunks;
    return importModel(context, config, checkpoint, quant, import);
  }
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(options.ir, &context);
  if (!module)
    fail({.file = options.ir,
          .found = "text that is no valid qlr IR",
          .expected = "a module of the qlr dialect",
          .advice = "the messages above name the place; qlr-opt " + options.ir + " checks it alone"});
  return module;
}

/// Runs the passes to `stage`.
void runPasses(ModuleOp module, const CompileOptions &options, const Target &target, llvm::StringRef stage) {
  PassManager passes(module.getContext());
  if (failed(applyPassOptions(passes)))
    fail({.found = "options that do not go together", .expected = "others, as said above"});
  std::string reproducer = (options.output == "-" ? options.model + "/qlr" : options.output) + ".reproducer.mlir";
  passes.enableCrashReproducerGeneration(reproducer);
  PlanOptions plan;
  plan.form = options.form;
  plan.tuneDb = options.tuneDb;
  plan.multiply = options.multiply;
  plan.decode = options.decode;
  plan.splits = options.splits;
  target.setPlanOptions(plan);
  if (stage == "kernels")
    buildToKernels(passes, plan);
  else
    buildToPlanned(passes, plan);
  if (failed(passes.run(module)))
    fail({.file = options.model,
          .found = "a pass that failed",
          .expected = "a compiled model",
          .advice = "reproduce it with: qlr-opt --run-reproducer " + reproducer});
}

/// Where the output goes under another name until it is complete.
class TextOutput {
public:
  explicit TextOutput(const std::string &path) : path(path) {
    std::error_code code;
    const bool isStdout = path == "-";
    temporary = isStdout ? "-" : path + ".tmp" + std::to_string(llvm::sys::Process::getProcessId());
    file = std::make_unique<llvm::ToolOutputFile>(temporary, code, llvm::sys::fs::OF_None);
    if (code)
      fail({.file = path, .found = code.message(), .expected = "a file that can be written"});
  }
  llvm::raw_ostream &stream() { return file->os(); }
  void finish() {
    file->os().flush();
    if (file->os().has_error())
      fail({.file = path, .found = file->os().error().message(), .expected = "room for the output"});
    file->keep();
    file.reset();
    if (temporary == "-")
      return;
    if (std::error_code code = llvm::sys::fs::rename(temporary, path))
      fail({.file = path, .found = code.message(), .expected = "a file that can be replaced"});
  }

private:
  std::string path, temporary;
  std::unique_ptr<llvm::ToolOutputFile> file;
};

void printIr(ModuleOp module, const Target &target, const CompileOptions &options) {
  TextOutput output(options.output);
  if (options.emit == Emit::Mlir && options.emitStage != "lowered")
    module.print(output.stream());
  else if (failed(target.print(module, options.emit, output.stream())))
    fail({.file = options.model,
          .found = "kernels without a lowering to " + target.name().str(),
          .expected = "code",
          .advice = "the messages above name the op"});
  output.finish();
}

nlohmann::json provenance(const CompileOptions &options, const ModelConfig &config, const Checkpoint &checkpoint,
                          const QuantConfig *quant) {
  nlohmann::json json = {{"tool", "qlr " QLR_VERSION}, {"target", options.target}, {"form", options.form}};
  // The arena does not say what its bytes are, and config.json does not say it of linears that are stored as plain
  // rows.
  for (uint32_t layer = 0; layer < config.layers; ++layer)
    for (const LinearModule &linear : layerModules(config, layer))
      if ((!quant || !quant->find(linear.name)) && checkpoint.has(linear.name + ".weight"))
        json["plain"][linear.name] = checkpoint.info(linear.name + ".weight").dtype == DType::BF16 ? "bf16" : "f32";
  if (!quant)
    return json;
  nlohmann::json compressed = quant->toJson();
  compressed.erase("tensors"); // the arena has hashes of its own
  json["quantization_config"] = std::move(compressed);
  return json;
}

/// The model directory's small files an artifact carries.
std::vector<std::pair<std::string, MappedFile>> tokenizerFiles(const std::string &model) {
  std::vector<std::pair<std::string, MappedFile>> files;
  for (const char *name : {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json"})
    if (std::string path = model + "/" + name; llvm::sys::fs::exists(path))
      files.emplace_back(name, MappedFile::open(path));
  return files;
}

/// A line per second on standard error while weights are copied.
class Progress {
public:
  explicit Progress(uint64_t total) : total(total), start(Clock::now()), last(start) {}
  void add(uint64_t bytes) {
    done += bytes;
    auto now = Clock::now();
    if (now - last < std::chrono::seconds(1))
      return;
    last = now;
    const double seconds = std::chrono::duration<double>(now - start).count();
    llvm::errs() << llvm::format("weights: %.2f of %.2f GB, %.0f s left\n", done / 1e9, total / 1e9,
                                 seconds / done * (total - done));
  }

private:
  using Clock = std::chrono::steady_clock;
  uint64_t total, done = 0;
  Clock::time_point start, last;
};

/// What one target adds to an artifact.
struct CompiledTarget {
  Plan plan;
  llvm::SmallVector<char, 0> code;
};

void writeArtifact(const CompileOptions &options, const std::vector<CompiledTarget> &compiled,
                   const nlohmann::json &origin, const std::vector<ArenaTensor> &weights) {
  ArtifactWriter writer(options.output);
  uint64_t total = 0;
  for (const ArenaTensor &tensor : weights) {
    uint64_t offset = writer.declareWeight(tensor.name, tensor.bytes);
    total += tensor.bytes;
    if (offset != tensor.offset)
      fail({.file = options.output,
            .tensor = tensor.name,
            .found = "arena offset " + std::to_string(offset),
            .expected = std::to_string(tensor.offset) + " as planned"});
  }
  for (const CompiledTarget &one : compiled)
    writer.declareKernels(one.plan.target, one.code.size());
  auto files = tokenizerFiles(options.model);
  for (auto &[name, file] : files)
    writer.declareTokenizerFile(name, file.bytes().size());
  for (const CompiledTarget &one : compiled)
    writer.setPlan(one.plan);
  writer.setProvenance(origin);
  writer.begin();
  Progress progress(total);
  for (const ArenaTensor &tensor : weights)
    tensor.write([&](std::span<const std::byte> bytes) {
      writer.write(bytes);
      progress.add(bytes.size());
    });
  for (const CompiledTarget &one : compiled)
    writer.write(std::as_bytes(std::span<const char>(one.code.data(), one.code.size())));
  for (auto &[name, file] : files)
    writer.write(file.bytes());
  writer.finish();
}

/// The targets of `--target A,B`.
std::vector<const Target *> findTargets(const std::string &names) {
  std::vector<const Target *> found;
  for (llvm::StringRef name : llvm::split(names, ',')) {
    const Target *target = findTarget(name);
    if (!target) {
      std::string known;
      for (const Target *one : targets())
        known += (known.empty() ? "" : ", ") + one->name().str();
      fail({.found = "target '" + name.str() + "'", .expected = known});
    }
    if (llvm::is_contained(found, target))
      fail({.found = "target " + name.str() + " twice", .expected = "different targets"});
    found.push_back(target);
  }
  return found;
}

} // namespace

void compileModel(const CompileOptions &options) {
  std::vector<const Target *> wanted = findTargets(options.target);
  ModelConfig config = ModelConfig::load(options.model);
  std::optional<QuantConfig> quantConfig = QuantConfig::fromConfig(config);
  const QuantConfig *quant = quantConfig ? &*quantConfig : nullptr;
  Checkpoint checkpoint = Checkpoint::open(options.model);
  if (options.emit != Emit::Artifact && wanted.size() > 1)
    fail({.found = "--target " + options.target, .expected = "one target with --emit"});

  MLIRContext context;
  prepareContext(context);
  std::vector<CompiledTarget> compiled;
  std::vector<ArenaTensor> weights;
  for (const Target *target : wanted) {
    OwningOpRef<ModuleOp> module = loadGraph(context, options, config, checkpoint, quant);
    const std::string stage = options.emit == Emit::Mlir ? options.emitStage : "planned";
    if (stage != "graph")
      runPasses(*module, options, *target, stage);
    if (options.emit != Emit::Artifact)
      return printIr(*module, *target, options);

    CompiledTarget &one = compiled.emplace_back();
    one.plan = buildPlan(*module, config);
    one.plan.form = options.form;
    one.plan.weightsPresent = options.weights;
    // The weights' layout is a property of codecs, so every target's arena is the same.
    if (one.plan.weightsBytes != compiled.front().plan.weightsBytes)
      fail(
          {.file = options.model,
           .found =
               "a weights arena of " + std::to_string(one.plan.weightsBytes) + " bytes for " + target->name().str(),
           .expected = std::to_string(compiled.front().plan.weightsBytes) + " as for " + wanted.front()->name().str()});
    if (options.weights && weights.empty())
      weights = arenaTensors(*module, checkpoint, quant);
    if (failed(target->compile(*module, one.plan, one.code)))
      fail({.file = options.model,
            .found = "kernels without a lowering to " + target->name().str(),
            .expected = "code",
            .advice = "the messages above name the op"});
  }
  writeArtifact(options, compiled, provenance(options, config, checkpoint, quant), weights);
}

} // namespace qlr
