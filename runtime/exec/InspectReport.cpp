// A report as JSON and as text.
#include "runtime/exec/Inspect.h"
#include "runtime/exec/Memory.h"
#include "runtime/exec/Text.h"
#include "runtime/format/Safetensors.h"

namespace qlr {
namespace {

nlohmann::json moduleJson(const ModuleReport &module) {
  nlohmann::json out = {{"name", module.name},        {"codec", module.codec}, {"shape", {module.rows, module.columns}},
                        {"bytes", module.bytes},      {"bits", module.bits()}, {"rank", module.rank},
                        {"rotation", module.rotation}};
  if (module.rank)
    out["factors"] = module.factors;
  if (module.recorded)
    out["recorded_correlation"] = *module.recorded;
  if (module.correlation)
    out["correlation"] = *module.correlation;
  return out;
}

} // namespace

nlohmann::json Report::toJson() const {
  nlohmann::json out = {{"path", path}, {"kind", kind}, {"bytes", bytes}};
  if (bitsPerWeight)
    out["bits_per_weight"] = *bitsPerWeight;
  if (memory) {
    out["memory"] = {{"weights", memory->weights},
                     {"cache", memory->cache},
                     {"workspace", memory->workspace + memory->state},
                     {"total", memory->total()}};
    if (memory->hostWeights)
      out["memory"]["host"] = memory->hostWeights; // not in the total, which is the device's
    out["context"] = context;
    out["target"] = target;
  }
  out["modules"] = nlohmann::json::array();
  for (const ModuleReport &module : modules)
    out["modules"].push_back(moduleJson(module));
  out["tensors"] = nlohmann::json::array();
  for (const TensorReport &tensor : tensors)
    out["tensors"].push_back(
        {{"name", tensor.name}, {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"bytes", tensor.bytes}});
  if (!provenance.is_null())
    out["provenance"] = provenance;
  return out;
}

std::string Report::toText(bool everyTensor) const {
  std::string out = path + "\n" + formatText("%-16s %s, %zu tensors\n", "kind", kind.c_str(), tensors.size());
  out += formatText("%-16s %s (%lu)\n", "bytes", formatBytes(bytes).c_str(), static_cast<unsigned long>(bytes));
  if (bitsPerWeight)
    out += formatText("%-16s %.4f (decoder linears, all metadata)\n", "bits per weight", *bitsPerWeight);
  if (memory)
    out +=
        formatText("%-16s %s on %s for a context of %u: weights %s, cache %s, workspace %s%s\n", "memory",
                   formatBytes(memory->total()).c_str(), target.c_str(), context, formatBytes(memory->weights).c_str(),
                   formatBytes(memory->cache).c_str(), formatBytes(memory->workspace + memory->state).c_str(),
                   memory->hostWeights ? ("; host memory " + formatBytes(memory->hostWeights)).c_str() : "");
  if (!modules.empty())
    out += formatText("\n%-44s %-12s %14s %6s %12s %8s%s\n", "module", "codec", "shape", "rank", "bytes", "bits",
                      "  correlation");
  for (const ModuleReport &module : modules) {
    std::string rank = module.rank ? std::to_string(module.rank) + " " + module.factors : "";
    std::string correlation = module.correlation ? formatText("%.5f", *module.correlation)
                              : module.recorded  ? formatText("%.5f (recorded)", *module.recorded)
                                                 : "";
    out += formatText("%-44s %-12s %14s %6s %12lu %8.4f  %s\n", module.name.c_str(), module.codec.c_str(),
                      shapeText({module.rows, module.columns}).c_str(), rank.c_str(),
                      static_cast<unsigned long>(module.bytes), module.bits(), correlation.c_str());
  }
  if (everyTensor || modules.empty()) {
    out += formatText("\n%-60s %-7s %20s %14s\n", "tensor", "type", "shape", "bytes");
    for (const TensorReport &tensor : tensors)
      out += formatText("%-60s %-7s %20s %14lu\n", tensor.name.c_str(), tensor.dtype.c_str(),
                        shapeText(tensor.shape).c_str(), static_cast<unsigned long>(tensor.bytes));
  }
  if (!provenance.is_null() && !provenance.empty()) {
    out += "\nprovenance\n";
    for (const auto &[key, value] : provenance.items())
      if (key != "modules" && key != "plain" && key != "quantization_config") // long, and told above where it is known
        out += "  " + key + ": " +
               (value.is_string() ? value.get<std::string>().substr(0, 200) : value.dump().substr(0, 200)) + "\n";
  }
  return out;
}

} // namespace qlr
