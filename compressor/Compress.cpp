#include "compressor/Compress.h"

#include "compressor/Calibration.h"
#include "compressor/CheckpointOutput.h"
#include "compressor/Estimate.h"
#include "compressor/WorkDirectory.h"
#include "runtime/format/Error.h"
#include "runtime/format/Hash.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <thread>
#include <unistd.h>

using namespace qlr;
namespace fs = std::filesystem;

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// One line for each layer; on a terminal, also a line that is rewritten after each module and says how long it will
/// be.
class Progress {
public:
  Progress(uint32_t layers, uint32_t done, double estimate)
      : layers(layers), first(done), estimate(estimate), begin(now()), terminal(isatty(STDERR_FILENO)) {}

  void module(uint32_t layer, const std::string &name, double share) {
    if (!terminal)
      return;
    std::fprintf(stderr, "\r\033[Klayer %u of %u: %s%s", layer + 1, layers, name.c_str(), eta(layer + share).c_str());
    std::fflush(stderr);
  }

  void layer(uint32_t layer, const std::map<std::string, ModuleQuant> &modules) {
    double error = 0, worst = 1;
    for (const auto &[name, module] : modules) {
      error = std::max(error, module.error.value_or(0));
      worst = std::min(worst, module.correlation.value_or(1));
    }
    std::fprintf(stderr, "%slayer %u of %u: largest relative output error %.4f, smallest correlation %.4f%s\n",
                 terminal ? "\r\033[K" : "", layer + 1, layers, error, worst, eta(layer + 1).c_str());
  }

  double elapsed() const { return now() - begin; }

private:
  std::string eta(double position) const {
    double share = (position - first) / std::max(1.0, double(layers) - first);
    if (position >= layers)
      return "";
    double left = share > 0.02 ? elapsed() * (1 - share) / share : estimate * (1 - share);
    return ", " + durationText(left) + " left";
  }

  uint32_t layers, first;
  double estimate, begin;
  bool terminal;
};

std::map<std::string, std::string> hashSources(const Checkpoint &source, const std::function<void()> &check) {
  std::map<std::string, std::string> hashes;
  for (const std::string &name : source.names()) {
    hashes[name] = xxh64Hex(source.data(name));
    check();
  }
  return hashes;
}

std::string hashJson(const nlohmann::json &value) {
  std::string text = value.dump();
  return xxh64Hex(std::as_bytes(std::span(text)));
}

/// The hidden states that enter layer 0: the rows of the embedding, for the original and the compressed model alike.
void writeEmbedded(const Checkpoint &source, const ModelConfig &model, const Calibration &calibration,
                   const HiddenFiles &files) {
  at::Tensor table = loadFloats(source, "model.embed_tokens.weight");
  const float *rows = table.data_ptr<float>();
  for (const std::string &path : {files.original, files.compressed}) {
    FloatFileWriter writer(path);
    for (uint32_t id : calibration.ids)
      writer.write({rows + uint64_t(id) * model.hiddenSize, model.hiddenSize});
    writer.finish();
  }
}

void checkDisk(const std::string &dir, double needed) {
  std::error_code error;
  fs::space_info space = fs::space(dir, error);
  if (!error && double(space.available) < needed)
    fail({.file = dir,
          .found = bytesText(double(space.available)) + " of free disk",
          .expected = bytesText(needed),
          .advice = "free some, or name another place with --work"});
}

std::string parentOf(const std::string &path) { return fs::absolute(path).parent_path().string(); }

} // namespace

void qlr::compress(const CompressOptions &options, const std::function<bool()> &interrupted) {
  at::set_num_threads(options.threads ? static_cast<int>(options.threads)
                                      : std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
  at::InferenceMode guard;
  if (options.windows == 0 || options.length < 2)
    throw Error("--calib-windows must be at least 1 and --calib-length at least 2");
  ModelConfig model = ModelConfig::load(options.model);
  if (model.raw.contains("quantization_config"))
    fail({.file = model.path,
          .found = "quantization_config",
          .expected = "an uncompressed model",
          .advice = "compress the original"});
  CompressConfig config = CompressConfig::load(options.configuration, options.flags, model);
  Checkpoint source = Checkpoint::open(options.model);
  if (options.calibration.empty())
    throw Error("no calibration text: name one or more text files with --calib");
  Calibration calibration = loadCalibration(options.model, model, options.calibration, options.windows, options.length);
  if (calibration.windows < options.windows)
    std::fprintf(stderr, "calibration: the text has %llu windows of %llu tokens, not %llu\n",
                 static_cast<unsigned long long>(calibration.windows),
                 static_cast<unsigned long long>(calibration.length), static_cast<unsigned long long>(options.windows));
  CompressEstimate estimate = estimateCompression(model, config, calibration.windows, calibration.length);
  std::fprintf(stderr, "needs %s\n", estimate.text().c_str());
  if (options.dryRun)
    return;

  checkOutput(options.out);
  std::string target = options.out;
  while (target.size() > 1 && target.back() == '/')
    target.pop_back();
  std::string workPath = options.work.empty() ? target + ".work" : options.work;
  checkDisk(parentOf(workPath), estimate.workBytes);
  checkDisk(parentOf(target), estimate.outputBytes);
  uint32_t done = 0;
  auto checkInterrupt = [&] {
    if (interrupted())
      throw Error("interrupted; " + std::to_string(done) + " of " + std::to_string(model.layers) +
                  " layers are finished in " + workPath + " and --resume goes on from there");
  };
  std::map<std::string, std::string> sourceHashes = hashSources(source, checkInterrupt);
  QuantConfig quant;
  quant.seed = options.seed;
  quant.rotation = config.rotation;
  quant.feedback = config.feedback ? "ldlq" : "none";
  quant.configurationHash = hashJson(config.toJson());
  quant.calibrationHash = calibration.hash();
  quant.calibrationWindows = calibration.windows;
  quant.calibrationLength = calibration.length;
  WorkDirectory work(workPath,
                     {{"program", "qlr-compress 1"},
                      {"model", hashJson({sourceHashes, model.raw})},
                      {"configuration", quant.configurationHash},
                      {"calibration", {quant.calibrationHash, quant.calibrationWindows, quant.calibrationLength}},
                      {"seed", options.seed}},
                     options.resume);

  Activations activations(calibration.windows, calibration.length);
  Progress *progress = nullptr;
  uint32_t layer = 0, modulesDone = 0;
  LayerCompressor::Context context{
      model, source, config, sourceHashes, options.seed, activations, [&](const std::string &module) {
        checkInterrupt();
        if (progress && layer < model.layers)
          progress->module(layer, module, ++modulesDone / 7.0);
      }};
  auto hidden = [&](uint32_t at) { return HiddenFiles{work.originalPath(at), work.hiddenPath(at)}; };
  done = work.finishedLayers(model.layers);
  if (done)
    std::fprintf(stderr, "%u of %u layers are finished\n", done, model.layers);
  else if (!fileExists(work.hiddenPath(0)))
    writeEmbedded(source, model, calibration, hidden(0));
  Progress line(model.layers, done, estimate.seconds);
  progress = &line;
  for (layer = done; layer < model.layers; ++layer) {
    modulesDone = 0;
    LayerCompressor compressor(context, layer);
    compressor.run(hidden(layer), hidden(layer + 1), work.scratchPath());
    writeLayer(work.layerPath(layer), compressor.tensors(), compressor.modules());
    work.dropHidden(layer);
    done = layer + 1;
    line.layer(layer, compressor.modules());
    checkInterrupt();
  }
  std::vector<std::string> files;
  for (uint32_t i = 0; i < model.layers; ++i)
    files.push_back(work.layerPath(i));
  uint64_t bytes = writeCheckpoint(target, context, std::move(quant), files);
  if (options.work.empty())
    work.remove(model.layers);
  else
    work.dropHidden(model.layers);
  std::fprintf(stderr, "%s: %s, %.3f bits a weight in the linears, %s\n", target.c_str(),
               bytesText(double(bytes)).c_str(), estimate.bitsPerWeight, durationText(line.elapsed()).c_str());
}
