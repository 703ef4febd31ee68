// The tuning database's file format.
#include "passes/TuningDatabase.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;

namespace qlr {
namespace {

/// `names` of `entry` as positive numbers, or nothing.
template <size_t N>
std::optional<std::array<int64_t, N>> numbers(const llvm::json::Object &entry, const char *const (&names)[N]) {
  std::array<int64_t, N> result;
  for (auto [name, number] : llvm::zip(names, result))
    if ((number = entry.getInteger(name).value_or(0)) <= 0)
      return std::nullopt;
  return result;
}

/// Whether `name` is absent or one of `allowed`.
bool isOneOf(const llvm::json::Object &entry, StringRef name, ArrayRef<StringRef> allowed) {
  const llvm::json::Value *value = entry.get(name);
  return !value || (value->getAsString() && llvm::is_contained(allowed, *value->getAsString()));
}

} // namespace

TuningDatabase::Key TuningDatabase::keyOf(const Product &product) {
  return {product.codec.getCodecName(), product.strips, product.columns, product.tokens};
}

LogicalResult TuningDatabase::load(StringRef path, llvm::function_ref<InFlightDiagnostic()> emitError) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer)
    return emitError() << path << ": " << buffer.getError().message();
  llvm::Expected<llvm::json::Value> value = llvm::json::parse((*buffer)->getBuffer());
  if (!value)
    return emitError() << path << ": " << llvm::toString(value.takeError());
  const llvm::json::Object *object = value->getAsObject();
  const llvm::json::Array *list = object ? object->getArray("variants") : nullptr;
  if (!list)
    return emitError() << path << ": expects an object with a list of variants";
  for (auto [index, value] : llvm::enumerate(*list)) {
    const llvm::json::Object *entry = value.getAsObject();
    std::optional<StringRef> codec = entry ? entry->getString("codec") : std::nullopt;
    auto of = codec ? numbers(*entry, {"strips_total", "columns", "tokens_total"}) : std::nullopt;
    if (!of)
      return emitError() << path << ": variant " << index
                         << ": expects codec, strips_total, columns and tokens_total, numbers positive";
    const Key key(codec->str(), (*of)[0], (*of)[1], (*of)[2]);
    const StringRef machine = entry->getString("machine").value_or("host");
    if (machine == "host") {
      auto cut = numbers(*entry, {"strips", "accumulators", "tokens"});
      if (!cut)
        return emitError() << path << ": variant " << index
                           << ": expects strips, accumulators and tokens, numbers positive";
      host[key] = {(*cut)[0], (*cut)[1], (*cut)[2]};
    } else if (machine == "gpu") {
      auto splits = entry->get("splits") ? numbers(*entry, {"splits"}) : std::array<int64_t, 1>{0};
      if (!splits || !isOneOf(*entry, "multiply", {"dp4a", "imma", "hmma"}) ||
          !isOneOf(*entry, "decode", {"lut4", "lut2", "lut2x32"}))
        return emitError() << path << ": variant " << index
                           << ": expects multiply of dp4a, imma, hmma; decode of lut4, lut2, lut2x32; splits positive";
      gpu[key] = {entry->getString("multiply").value_or("").str(), entry->getString("decode").value_or("").str(),
                  splits->front()};
    } else {
      return emitError() << path << ": variant " << index << ": expects machine host or gpu, got " << machine;
    }
  }
  return success();
}

std::optional<Variant> TuningDatabase::find(const Product &product) const {
  auto found = host.find(keyOf(product));
  return found == host.end() ? std::nullopt : std::optional(found->second);
}

std::optional<GpuWishes> TuningDatabase::findForGpu(const Product &product) const {
  auto found = gpu.find(keyOf(product));
  return found == gpu.end() ? std::nullopt : std::optional(found->second);
}

} // namespace qlr
