#include "compressor/WorkDirectory.h"

#include "runtime/format/Error.h"
#include "runtime/format/Json.h"
#include "runtime/format/MappedFile.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

using namespace qlr;
namespace fs = std::filesystem;

FloatFileWriter::FloatFileWriter(std::string file)
    : path(std::move(file)), temporary(path + ".part"), stream(std::fopen(temporary.c_str(), "wb")) {
  if (!stream)
    throw Error(temporary + ": cannot be written: " + std::strerror(errno));
}

FloatFileWriter::~FloatFileWriter() {
  if (!stream)
    return;
  std::fclose(stream);
  std::remove(temporary.c_str());
}

void FloatFileWriter::write(std::span<const float> values) {
  if (std::fwrite(values.data(), sizeof(float), values.size(), stream) != values.size())
    throw Error(temporary + ": cannot be written: " + std::strerror(errno));
}

void FloatFileWriter::finish() {
  std::FILE *closing = std::exchange(stream, nullptr);
  if (std::fclose(closing) != 0 || std::rename(temporary.c_str(), path.c_str()) != 0) {
    int number = errno;
    std::remove(temporary.c_str());
    throw Error(path + ": cannot be written: " + std::strerror(number));
  }
}

static std::string differing(const nlohmann::json &a, const nlohmann::json &b) {
  std::string names;
  for (const auto &[key, value] : a.items())
    if (!b.contains(key) || b[key] != value)
      names += (names.empty() ? "" : ", ") + key;
  return names;
}

WorkDirectory::WorkDirectory(std::string path, const nlohmann::json &fingerprint, bool resume) : dir(std::move(path)) {
  std::error_code error;
  fs::create_directories(dir, error);
  if (error)
    throw Error(dir + ": cannot be made: " + error.message());
  std::string file = joinPath(dir, "fingerprint.json");
  if (fileExists(file)) {
    nlohmann::json before = parseJsonFile(file);
    if (std::string names = differing(fingerprint, before); !names.empty())
      fail({.file = dir,
            .found = "the work of another compression (other " + names + ")",
            .expected = "an empty work directory or one of the same model, text and configuration",
            .advice = "remove it or name another with --work"});
    if (!resume)
      fail({.file = dir,
            .found = "the work of an interrupted compression",
            .expected = "an empty work directory",
            .advice = "go on with --resume, or remove it"});
    return;
  }
  auto unfinished = [](const fs::directory_entry &entry) { return entry.path().extension() == ".part"; };
  if (!std::all_of(fs::directory_iterator(dir), fs::directory_iterator(), unfinished))
    fail({.file = dir,
          .found = "files that no compression left there",
          .expected = "an empty work directory",
          .advice = "name another with --work"});
  std::ofstream out(file + ".part", std::ios::binary);
  out << fingerprint.dump(1) << "\n";
  out.close();
  if (!out || std::rename((file + ".part").c_str(), file.c_str()) != 0)
    throw Error(file + ": cannot be written");
}

std::string WorkDirectory::hiddenPath(uint32_t layer) const {
  return joinPath(dir, "hidden-" + std::to_string(layer) + ".bin");
}

std::string WorkDirectory::originalPath(uint32_t layer) const {
  return joinPath(dir, "original-" + std::to_string(layer) + ".bin");
}

std::string WorkDirectory::layerPath(uint32_t layer) const {
  return joinPath(dir, "layer-" + std::to_string(layer) + ".safetensors");
}

std::string WorkDirectory::scratchPath() const { return joinPath(dir, "scratch"); }

uint32_t WorkDirectory::finishedLayers(uint32_t layers) const {
  uint32_t done = 0;
  while (done < layers && fileExists(layerPath(done)))
    ++done;
  return done;
}

void WorkDirectory::dropHidden(uint32_t layer) const {
  std::remove(hiddenPath(layer).c_str());
  std::remove(originalPath(layer).c_str());
}

void WorkDirectory::remove(uint32_t layers) const {
  for (uint32_t i = 0; i <= layers; ++i) {
    dropHidden(i);
    std::remove(layerPath(i).c_str());
  }
  std::remove(joinPath(dir, "fingerprint.json").c_str());
  std::error_code ignored;
  for (const fs::directory_entry &entry : fs::directory_iterator(dir, ignored))
    if (entry.path().filename().string().starts_with("scratch"))
      fs::remove(entry.path(), ignored);
  fs::remove(dir, ignored);
}
