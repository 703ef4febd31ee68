// Weights and vectors of a checkpoint, from its headers.
#include "codegen/ImportParameters.h"

#include "runtime/format/Codec.h"
#include "runtime/format/Error.h"

using namespace mlir;

namespace qlr {

template <typename Decl> Decl ParameterImporter::find(StringRef name) {
  return llvm::cast_or_null<Decl>(decls.lookup(name));
}

OpBuilder ParameterImporter::declBuilder() {
  OpBuilder builder(module.getContext());
  if (last)
    builder.setInsertionPointAfter(last);
  else
    builder.setInsertionPointToStart(module.getBody());
  return builder;
}

CodecAttrInterface ParameterImporter::codec(const std::string &name) {
  auto attribute = llvm::dyn_cast_or_null<CodecAttrInterface>(codecFromName(module.getContext(), name));
  if (!attribute)
    fail({.file = checkpoint.directory(), .found = "codec " + name, .expected = "a codec that can be compiled"});
  return attribute;
}

DType ParameterImporter::requireFloats(const std::string &tensor, const std::vector<uint64_t> &shape) {
  const TensorInfo &info = checkpoint.info(tensor);
  if (info.shape != shape)
    fail({.file = checkpoint.file(tensor).path(),
          .tensor = tensor,
          .found = "shape " + shapeText(info.shape),
          .expected = shapeText(shape) + " by config.json"});
  if (info.dtype != DType::F32 && info.dtype != DType::F16 && info.dtype != DType::BF16)
    fail({.file = checkpoint.file(tensor).path(),
          .tensor = tensor,
          .found = dtypeName(info.dtype),
          .expected = "F32, F16 or BF16",
          .advice = "save the model in one of these"});
  return info.dtype;
}

WeightType ParameterImporter::plainType(const LinearModule &linear) {
  DType dtype = requireFloats(linear.name + ".weight", {linear.rows, linear.columns});
  // F16 has more digits than BF16, so it is kept as f32.
  auto format = codec(dtype == DType::BF16 ? "bf16" : "f32");
  return WeightType::get(module.getContext(), linear.rows, linear.columns, format, 0, {}, 0, {});
}

void ParameterImporter::requireLevels(const std::string &name) {
  const Codec &format = Codec::get(name);
  if (!format.levelCount())
    return;
  checkpoint.require("levels." + name, DType::I8, {format.levelCount()});
  if (!checkpoint.metadata("levels." + name + ".unit"))
    fail({.file = checkpoint.file("levels." + name).path(),
          .tensor = "levels." + name,
          .found = "no levels." + name + ".unit in the metadata",
          .expected = "the unit of the levels",
          .advice = "compress the model again"});
}

void ParameterImporter::requireTiles(const std::string &prefix, const std::string &name, int64_t rows,
                                     int64_t columns) {
  const Codec &format = Codec::get(name);
  checkpoint.require(prefix + ".codes", DType::U8,
                     {stripCount(rows), columnTileCount(columns), uint64_t(format.tileBytes())});
  std::vector<uint64_t> scales = {paddedRowCount(rows)};
  if (format.group())
    scales.push_back(format.groupCount(columns));
  checkpoint.require(prefix + ".scales", DType::F16, scales);
  requireLevels(name);
}

WeightType ParameterImporter::compressedType(const LinearModule &linear, const ModuleQuant &how) {
  requireTiles(linear.name + ".q", how.codec, linear.rows, linear.columns);
  CodecAttrInterface factors;
  if (how.rank) {
    requireTiles(linear.name + ".l", how.factors, linear.rows, how.rank);
    requireTiles(linear.name + ".r", how.factors, how.rank, linear.columns);
    factors = codec(how.factors);
  }
  return WeightType::get(module.getContext(), linear.rows, linear.columns, codec(how.codec), how.rank, factors,
                         how.rotation, {});
}

WeightDeclOp ParameterImporter::weight(const LinearModule &linear) {
  if (auto decl = find<WeightDeclOp>(linear.name))
    return decl;
  const ModuleQuant *how = quant ? quant->find(linear.name) : nullptr;
  WeightType type = how && !Codec::get(how->codec).isFloat() ? compressedType(linear, *how) : plainType(linear);
  if (!linear.bias && checkpoint.has(linear.name + ".bias"))
    fail({.file = checkpoint.file(linear.name + ".bias").path(),
          .tensor = linear.name + ".bias",
          .found = "a bias",
          .expected = "none in a Qwen2 model"});
  OpBuilder builder = declBuilder();
  auto decl = WeightDeclOp::create(builder, NameLoc::get(builder.getStringAttr(linear.name)), linear.name, type,
                                   builder.getStrArrayAttr({linear.name}), DenseI64ArrayAttr());
  decls[linear.name] = last = decl;
  return decl;
}

VectorDeclOp ParameterImporter::vector(const std::string &tensor, int64_t size, StringRef kind) {
  if (auto decl = find<VectorDeclOp>(tensor))
    return decl;
  if (kind == "signs")
    checkpoint.require(tensor, DType::U8, {(uint64_t(size) + 7) / 8});
  else
    requireFloats(tensor, {uint64_t(size)});
  OpBuilder builder = declBuilder();
  auto type = RankedTensorType::get({size}, builder.getF32Type());
  auto decl = VectorDeclOp::create(builder, NameLoc::get(builder.getStringAttr(tensor)), tensor, type,
                                   builder.getStrArrayAttr({tensor}), kind, IntegerAttr());
  decls[tensor] = last = decl;
  return decl;
}

VectorDeclOp ParameterImporter::signs(const std::string &input, int64_t size) {
  return vector(input + ".signs", size, "signs");
}

} // namespace qlr
