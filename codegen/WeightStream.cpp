// From checkpoint tensors to arena tensors: concatenated parts, scales strip by strip, level tables, f32 vectors.
#include "codegen/WeightStream.h"

#include "dialect/Layout.h"
#include "runtime/format/Codec.h"
#include "runtime/format/Error.h"
#include "runtime/format/Hash.h"

#include <algorithm>
#include <cstring>

using namespace mlir;

namespace qlr {
namespace {

using Sink = ArenaTensor::Sink;

template <typename T> void writeAll(const Sink &sink, const std::vector<T> &values) {
  sink(std::as_bytes(std::span<const T>(values)));
}

/// Checkpoints up to this size are checked as a whole before anything is compiled: they stay in the page cache until
/// they are copied. Larger ones are checked in the one pass that copies them, after the kernels.
constexpr uint64_t kCheckFirstBytes = uint64_t(1) << 30;

class Streamer {
public:
  Streamer(const Checkpoint &checkpoint, const QuantConfig *quant) : checkpoint(checkpoint), quant(quant) {}

  /// Checks every recorded hash now, unless the tensors are too many bytes to be read twice.
  void checkFirst() {
    uint64_t total = 0;
    std::vector<std::string> present;
    if (quant)
      for (const auto &[tensor, hash] : quant->tensors)
        if (checkpoint.has(tensor)) {
          total += checkpoint.info(tensor).bytes();
          present.push_back(tensor);
        }
    if (total > kCheckFirstBytes)
      return;
    for (const std::string &tensor : present)
      verified(tensor);
    checked = true;
  }

  /// Bytes of a tensor after its recorded hash was checked.
  std::span<const std::byte> verified(const std::string &tensor) const {
    auto bytes = checkpoint.data(tensor);
    if (!quant || checked)
      return bytes;
    auto recorded = quant->tensors.find(tensor);
    if (recorded == quant->tensors.end())
      return bytes;
    if (std::string found = xxh64Hex(bytes); found != recorded->second)
      fail({.file = checkpoint.file(tensor).path(),
            .tensor = tensor,
            .found = "hash " + found,
            .expected = recorded->second,
            .advice = "the file is damaged; compress again or restore it"});
    return bytes;
  }

  /// The tensors one after another, as they are.
  std::function<void(const Sink &)> raw(std::vector<std::string> tensors, uint64_t bytes) const {
    return [this, tensors = std::move(tensors), bytes](const Sink &sink) {
      uint64_t total = 0;
      for (const std::string &tensor : tensors)
        total += checkpoint.info(tensor).bytes();
      if (total != bytes)
        fail({.file = checkpoint.directory(),
              .tensor = tensors.front(),
              .found = std::to_string(total) + " bytes",
              .expected = std::to_string(bytes)});
      for (const std::string &tensor : tensors)
        sink(verified(tensor));
    };
  }

  /// F16 scales [rows, groups] -> [strips][groups][16], which one load per strip and group reads.
  std::function<void(const Sink &)> groupScales(std::vector<std::string> tensors, int64_t groups,
                                                uint64_t bytes) const {
    if (groups == 1)
      return raw(std::move(tensors), bytes);
    return [this, tensors = std::move(tensors), groups](const Sink &sink) {
      for (const std::string &tensor : tensors) {
        auto source = verified(tensor);
        const int64_t strips = source.size() / 2 / groups / 16;
        std::vector<uint16_t> strip(groups * 16), rows(groups * 16);
        for (int64_t s = 0; s < strips; ++s) {
          std::memcpy(rows.data(), source.data() + s * rows.size() * 2, rows.size() * 2);
          for (int64_t row = 0; row < 16; ++row)
            for (int64_t g = 0; g < groups; ++g)
              strip[g * 16 + row] = rows[row * groups + g];
          writeAll(sink, strip);
        }
      }
    };
  }

  std::function<void(const Sink &)> levels(const Codec &codec) const {
    return [this, &codec](const Sink &sink) {
      const std::string tensor = "levels." + codec.name();
      auto bytes = verified(tensor);
      checkLevels(codec, {reinterpret_cast<const int8_t *>(bytes.data()), bytes.size()}, checkpoint.file(tensor).path(),
                  tensor);
      std::vector<uint8_t> table(kLevelTableBytes, 128);
      for (size_t i = 0; i < bytes.size(); ++i)
        table[i] = static_cast<uint8_t>(static_cast<int>(static_cast<int8_t>(bytes[i])) + 128);
      const float unit = static_cast<float>(levelUnit(tensor));
      std::memcpy(table.data() + kLevelUnitOffset, &unit, sizeof unit);
      writeAll(sink, table);
    };
  }

  std::function<void(const Sink &)> floats(std::vector<std::string> tensors) const {
    return [this, tensors = std::move(tensors)](const Sink &sink) {
      for (const std::string &tensor : tensors) {
        verified(tensor);
        writeAll(sink, checkpoint.floats(tensor));
      }
    };
  }

  /// One bit a column -> f32 +1 or -1.
  std::function<void(const Sink &)> signs(std::string tensor, int64_t columns) const {
    return [this, tensor = std::move(tensor), columns](const Sink &sink) {
      auto bits = verified(tensor);
      std::vector<float> values(columns);
      for (int64_t i = 0; i < columns; ++i)
        values[i] = static_cast<unsigned>(bits[i / 8]) >> (i % 8) & 1 ? -1.0f : 1.0f;
      writeAll(sink, values);
    };
  }

private:
  double levelUnit(const std::string &tensor) const {
    auto text = checkpoint.metadata(tensor + ".unit");
    char *end = nullptr;
    double unit = text ? std::strtod(text->c_str(), &end) : 0;
    if (!text || *end || !(unit > 0 && unit < 1e6))
      fail({.file = checkpoint.file(tensor).path(),
            .tensor = tensor,
            .found = text ? "unit '" + *text + "'" : "no unit",
            .expected = "a positive number in the metadata '" + tensor + ".unit'"});
    return unit;
  }

  const Checkpoint &checkpoint;
  const QuantConfig *quant;
  bool checked = false;
};

std::vector<std::string> suffixed(ArrayAttr parts, llvm::StringRef suffix) {
  std::vector<std::string> names;
  for (auto part : parts.getAsRange<StringAttr>())
    names.push_back((part.getValue() + "." + suffix).str());
  return names;
}

void addWeight(std::vector<ArenaTensor> &out, WeightDeclOp decl, std::shared_ptr<Streamer> streamer) {
  auto type = cast<WeightType>(decl.getType());
  for (auto [component, offset] : llvm::zip(weightComponents(type), *decl.getOffsets())) {
    if (component.isLevels())
      continue; // declared once for all weights
    ArenaTensor tensor{(decl.getSymName() + "." + component.name).str(),
                       static_cast<uint64_t>(offset),
                       static_cast<uint64_t>(component.bytes),
                       {}};
    std::vector<std::string> sources = suffixed(decl.getParts(), component.name);
    std::function<void(const Sink &)> write;
    const int64_t columns = component.name.starts_with("l.") ? type.getRank() : type.getColumns();
    const unsigned group = component.codec.getGroup();
    if (component.name == "weight")
      write = cast<FloatCodecAttr>(type.getQ()).getElementType().isBF16() ? streamer->raw(sources, component.bytes)
                                                                          : streamer->floats(sources);
    else if (component.name.ends_with(".scales"))
      write = streamer->groupScales(sources, group ? (columns + group - 1) / group : 1, component.bytes);
    else
      write = streamer->raw(sources, component.bytes);
    tensor.write = [streamer, write](const Sink &sink) { write(sink); };
    out.push_back(std::move(tensor));
  }
}

} // namespace

std::vector<ArenaTensor> arenaTensors(ModuleOp planned, const Checkpoint &checkpoint, const QuantConfig *quant) {
  auto streamer = std::make_shared<Streamer>(checkpoint, quant);
  streamer->checkFirst();
  std::vector<ArenaTensor> tensors;
  auto add = [&](llvm::StringRef name, int64_t offset, int64_t bytes, std::function<void(const Sink &)> write) {
    tensors.push_back({name.str(), static_cast<uint64_t>(offset), static_cast<uint64_t>(bytes),
                       [streamer, write](const Sink &sink) { write(sink); }});
  };
  for (Operation &op : *planned.getBody()) {
    if (auto weight = dyn_cast<WeightDeclOp>(op))
      addWeight(tensors, weight, streamer);
    if (auto levels = dyn_cast<LevelsDeclOp>(op))
      add(levels.getSymName(), *levels.getOffset(), kLevelTableBytes,
          streamer->levels(Codec::get(levels.getCodec().getCodecName())));
    if (auto vector = dyn_cast<VectorDeclOp>(op)) {
      std::vector<std::string> parts;
      for (auto part : vector.getParts().getAsRange<StringAttr>())
        parts.push_back(part.getValue().str());
      const int64_t count = cast<RankedTensorType>(vector.getType()).getDimSize(0);
      auto write = vector.getKind() == "signs" ? streamer->signs(parts.front(), count) : streamer->floats(parts);
      add(vector.getSymName(), *vector.getOffset(), 4 * count, write);
    }
  }
  std::sort(tensors.begin(), tensors.end(), [](const auto &a, const auto &b) { return a.offset < b.offset; });
  return tensors;
}

} // namespace qlr
