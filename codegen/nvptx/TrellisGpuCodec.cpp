// GPU decoding of the tile trellis: windows of k weights at once index a table of their levels.
#include "codegen/nvptx/GpuTileDecoder.h"
#include "dialect/Layout.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace qlr {
namespace {

class TrellisDecoder : public GpuLutDecoder {
public:
  using GpuLutDecoder::GpuLutDecoder;

  Value unit(GpuEmitter &e) override { return e.loadConst(e.f32(), e.at(levels, kLevelUnitOffset), 4); }

  Value levelOf(GpuEmitter &e, Value windowBits) override {
    // The arena's table holds level + 128.
    Value stored = arith::ExtUIOp::create(e.b, e.i32(), e.loadConst(e.i8(), e.at(levels, windowBits), 1));
    return e.add(stored, -128);
  }
};

struct TrellisModel : GpuCodecInterface::ExternalModel<TrellisModel, TrellisCodecAttr> {
  std::unique_ptr<GpuTileDecoder> createGpuTileDecoder(Attribute attr, StringRef decode) const {
    auto codec = cast<TrellisCodecAttr>(attr);
    // The table for four weights has 2^(window + 3 bits) words: from 3 bits on it does not fit.
    if (decode.empty())
      decode = codec.getBits() == 2 ? "lut4" : "lut2";
    auto make = [&](unsigned weights, unsigned copies) {
      return std::make_unique<TrellisDecoder>(codec.getBits(), codec.getWindow(), weights, copies);
    };
    if (decode == "lut4" && codec.getBits() == 2)
      return make(4, 1);
    if (decode == "lut2")
      return make(2, 1);
    if (decode == "lut2x32" && codec.getBits() + codec.getWindow() <= 9)
      return make(2, 32);
    return nullptr;
  }
};

} // namespace

void registerTrellisGpuCodec(DialectRegistry &registry) {
  registry.addExtension(
      +[](MLIRContext *context, QlrDialect *) { TrellisCodecAttr::attachInterface<TrellisModel>(*context); });
}

} // namespace qlr
