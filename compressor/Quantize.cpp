#include "compressor/Quantize.h"

#include "runtime/format/Error.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <cstring>

using namespace qlr;

namespace {

constexpr int64_t batchColumns = 128;

} // namespace

TileQuantizer::TileQuantizer(const at::Tensor &weights, const Encoder &encoder)
    : encoder(&encoder), rows(weights.size(0)), columns(weights.size(1)),
      w(padTo(weights.to(at::kFloat), paddedRowCount(rows), columnTileCount(columns) * tileColumns)),
      values(at::zeros_like(w)), tileBytes(encoder.codec().tileBytes()), columnTiles(w.size(1) / tileColumns) {
  codes.assign(w.size(0) / tileRows * columnTiles * tileBytes, 0);
  int64_t groups = encoder.codec().groupCount(columns);
  scales = at::zeros({w.size(0), groups}, at::kFloat);
  encoder.startScales(weights.to(at::kFloat).contiguous().data_ptr<float>(), rows, columns, scales.data_ptr<float>());
  roundScales();
}

void TileQuantizer::retarget(const at::Tensor &weights) { w = padTo(weights.to(at::kFloat), w.size(0), w.size(1)); }

void TileQuantizer::roundScales() { scales = scales.to(at::kHalf).to(at::kFloat); }

/// One scale for each of a tile's rows.
at::Tensor TileQuantizer::scaleAt(int64_t column) const {
  int64_t group = encoder->codec().group();
  return scales.select(1, group ? column / group : 0).unsqueeze(1);
}

at::Tensor TileQuantizer::dequantized() const {
  int64_t group = encoder->codec().group();
  if (group == 0)
    return values * scales;
  return values * scales.repeat_interleave(group, 1).slice(1, 0, w.size(1));
}

at::Tensor TileQuantizer::dense() const { return dequantized().slice(0, 0, rows).slice(1, 0, columns).contiguous(); }

/// Candidate codes and values (in units of the scales) for the column tile at `column`.
at::Tensor TileQuantizer::encodeTiles(const at::Tensor &targets, int64_t column,
                                      std::vector<uint8_t> &tileCodes) const {
  at::Tensor scale = scaleAt(column);
  at::Tensor x = at::where(scale > 0, targets / scale, at::zeros({}, at::kFloat)).contiguous();
  at::Tensor found = at::empty_like(x);
  int64_t strips = w.size(0) / tileRows;
  tileCodes.resize(strips * tileBytes);
  const float *in = x.data_ptr<float>();
  float *out = found.data_ptr<float>();
  // 16 rows of four columns, row by row, are a tile of the codec as they lie in memory.
  at::parallel_for(0, (strips + 15) / 16, 1, [&](int64_t from, int64_t to) {
    int64_t begin = from * 16, end = std::min(to * 16, strips);
    encoder->encode(in + begin * tileWeights, end - begin, tileCodes.data() + begin * tileBytes,
                    out + begin * tileWeights);
  });
  return found;
}

/// Takes candidates: all of them, or those of the marked strips.
void TileQuantizer::put(int64_t column, const at::Tensor &found, const std::vector<uint8_t> &tileCodes,
                        const std::vector<uint8_t> *strips) {
  at::Tensor place = values.slice(1, column, column + tileColumns);
  if (!strips)
    place.copy_(found);
  for (size_t s = 0; s < tileCodes.size() / tileBytes; ++s) {
    if (strips && !(*strips)[s])
      continue;
    std::memcpy(codes.data() + (s * columnTiles + column / tileColumns) * tileBytes, tileCodes.data() + s * tileBytes,
                tileBytes);
    if (strips)
      place.slice(0, s * tileRows, (s + 1) * tileRows).copy_(found.slice(0, s * tileRows, (s + 1) * tileRows));
  }
}

/// The targets of a batch of columns are brought up to date one tile at a time, those of all later columns once a
/// batch, as one matrix product.
void TileQuantizer::ldlq(const Metric &metric, bool feedback) {
  at::Tensor targets = w.clone();
  std::vector<uint8_t> tileCodes;
  int64_t width = w.size(1);
  for (int64_t from = 0; from < width; from += batchColumns) {
    int64_t to = std::min(from + batchColumns, width);
    at::Tensor errors = at::zeros({w.size(0), to - from}, at::kFloat);
    at::Tensor m = feedback ? metric.feedback().slice(0, from, to) : at::Tensor();
    for (int64_t k = from; k < to; k += tileColumns) {
      at::Tensor target = targets.slice(1, k, k + tileColumns);
      if (feedback && k > from)
        target = target + errors.slice(1, 0, k - from).mm(m.slice(0, 0, k - from).slice(1, k, k + tileColumns));
      at::Tensor found = encodeTiles(target, k, tileCodes);
      put(k, found, tileCodes);
      errors.slice(1, k - from, k - from + tileColumns).copy_(w.slice(1, k, k + tileColumns) - found * scaleAt(k));
    }
    if (feedback && to < width)
      targets.slice(1, to, width).addmm_(errors, m.slice(1, to, width));
  }
}

/// s = w H v^T / v H v^T for each row.
void TileQuantizer::refitRowScales(const at::Tensor &h) {
  if (encoder->codec().group())
    return;
  at::Tensor vh = values.mm(h);
  at::Tensor dot = (vh * w).sum(1, true, at::kDouble), square = (vh * values).sum(1, true, at::kDouble);
  scales = at::where((square > 0).logical_and(dot > 0).logical_and(scales > 0), dot / square, scales.to(at::kDouble))
               .to(at::kFloat);
  roundScales();
}

/// The best value of a tile given all others is its value plus G H_kk^{-1}, where G = E H. What the encoder makes of it
/// is taken where (target - value) H_kk (target - value)^T falls.
void TileQuantizer::sweep(const at::Tensor &h) {
  at::Tensor gradient = (w - dequantized()).mm(h);
  int64_t width = w.size(1), strips = w.size(0) / tileRows;
  std::vector<uint8_t> tileCodes, taken(strips);
  for (int64_t from = 0; from < width; from += batchColumns) {
    int64_t to = std::min(from + batchColumns, width);
    at::Tensor change = at::zeros({w.size(0), to - from}, at::kFloat);
    for (int64_t k = from; k < to; k += tileColumns) {
      at::Tensor block = h.slice(0, k, k + tileColumns).slice(1, k, k + tileColumns);
      at::Tensor g = gradient.slice(1, k, k + tileColumns);
      at::Tensor scale = scaleAt(k);
      at::Tensor old = values.slice(1, k, k + tileColumns).clone();
      at::Tensor target = old * scale + g.mm(at::linalg_inv(block));
      at::Tensor found = encodeTiles(target, k, tileCodes);
      at::Tensor eOld = target - old * scale, eNew = target - found * scale;
      at::Tensor gain = (eOld.mm(block) * eOld - eNew.mm(block) * eNew).sum(1).reshape({strips, tileRows}).sum(1);
      at::Tensor better = gain > 0;
      const bool *flags = better.data_ptr<bool>();
      std::copy(flags, flags + strips, taken.begin());
      put(k, found, tileCodes, &taken);
      at::Tensor delta = (values.slice(1, k, k + tileColumns) - old) * scale;
      change.slice(1, k - from, k - from + tileColumns).copy_(delta);
      if (k + tileColumns < to)
        gradient.slice(1, k + tileColumns, to)
            .sub_(delta.mm(h.slice(0, k, k + tileColumns).slice(1, k + tileColumns, to)));
    }
    if (to < width)
      gradient.slice(1, to, width).sub_(change.mm(h.slice(0, from, to).slice(1, to, width)));
  }
}

Quantized TileQuantizer::finish(const Metric *metric) const {
  Quantized result;
  result.encoder = encoder;
  result.rows = rows;
  result.columns = columns;
  result.codes = codes;
  at::Tensor half = scales.to(at::kHalf).contiguous();
  if (!at::isfinite(half).all().item<bool>())
    throw Error("row scales beyond the range of F16: the weights are too large");
  result.scales.resize(half.numel());
  std::memcpy(result.scales.data(), half.data_ptr(), result.scales.size() * 2);
  result.dense = dense();
  if (metric)
    result.error = metric->error(w.slice(0, 0, rows).slice(1, 0, columns) - result.dense);
  return result;
}

void TileQuantizer::encode(const Metric &metric, const QuantizeOptions &options) {
  ldlq(metric, options.feedback);
  refitRowScales(metric.h());
  for (unsigned i = 0; i < options.sweeps; ++i)
    descend(metric.h());
}

void TileQuantizer::descend(const at::Tensor &h) {
  sweep(h);
  refitRowScales(h);
}

void TileQuantizer::encodePlain() {
  std::vector<uint8_t> tileCodes;
  for (int64_t k = 0; k < w.size(1); k += tileColumns) {
    at::Tensor found = encodeTiles(w.slice(1, k, k + tileColumns), k, tileCodes);
    put(k, found, tileCodes);
  }
}

Quantized qlr::quantize(const at::Tensor &weights, const Encoder &encoder, const Metric &metric,
                        const QuantizeOptions &options) {
  TileQuantizer q(weights, encoder);
  q.encode(metric, options);
  return q.finish(&metric);
}

Quantized qlr::quantizePlain(const at::Tensor &weights, const Encoder &encoder) {
  TileQuantizer q(weights, encoder);
  q.encodePlain();
  return q.finish(nullptr);
}
