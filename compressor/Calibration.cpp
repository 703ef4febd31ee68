#include "compressor/Calibration.h"

#include "runtime/format/Error.h"
#include "runtime/format/Hash.h"
#include "runtime/format/MappedFile.h"
#include "runtime/tokenizer/Tokenizer.h"

using namespace qlr;

std::string Calibration::hash() const { return xxh64Hex(std::as_bytes(std::span(ids))); }

Calibration qlr::loadCalibration(const std::string &modelDir, const ModelConfig &model,
                                 const std::vector<std::string> &files, uint64_t windows, uint64_t length) {
  if (length > model.maxPositions)
    fail({.file = model.path,
          .found = "--calib-length " + std::to_string(length),
          .expected = "at most max_position_embeddings = " + std::to_string(model.maxPositions)});
  Tokenizer tokenizer = Tokenizer::load(modelDir);
  Calibration result;
  result.length = length;
  uint64_t wanted = windows * length;
  for (const std::string &path : files) {
    if (result.ids.size() >= wanted)
      break;
    MappedFile file = MappedFile::open(path);
    refuseImpostor(file.text(), path);
    // Far more bytes than the tokens can need; cutting at the end of a line leaves whole characters.
    std::string_view text = file.text();
    if (uint64_t most = (wanted - result.ids.size()) * 64; text.size() > most)
      if (size_t end = text.find('\n', most); end != std::string_view::npos)
        text = text.substr(0, end);
    std::vector<uint32_t> ids;
    try {
      ids = tokenizer.encode(text);
    } catch (const Error &error) {
      throw Error(path + ": " + error.what());
    }
    result.ids.insert(result.ids.end(), ids.begin(), ids.end());
  }
  result.windows = std::min(windows, result.ids.size() / length);
  if (result.windows == 0)
    fail({.file = files.empty() ? modelDir : files.front(),
          .found = std::to_string(result.ids.size()) + " tokens of calibration text",
          .expected = "at least one window of " + std::to_string(length),
          .advice = "give more text with --calib, or a smaller --calib-length"});
  result.ids.resize(result.windows * length);
  for (uint32_t id : result.ids)
    if (id >= model.vocabSize)
      fail({.file = tokenizer.path(),
            .found = "token " + std::to_string(id),
            .expected = "ids below vocab_size = " + std::to_string(model.vocabSize),
            .advice = "the tokenizer is not this model's"});
  return result;
}
