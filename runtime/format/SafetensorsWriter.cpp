#include "runtime/format/Error.h"
#include "runtime/format/Json.h"
#include "runtime/format/Safetensors.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace qlr {

SafetensorsWriter::SafetensorsWriter(std::string path) : path(std::move(path)) {
  // The process id keeps two writers of one file from sharing a temporary.
  temporary = this->path + ".tmp" + std::to_string(getpid());
}

SafetensorsWriter::~SafetensorsWriter() {
  if (!stream)
    return;
  std::fclose(stream);
  unlink(temporary.c_str());
}

void SafetensorsWriter::failIo(const char *what) const {
  fail({.file = temporary,
        .found = std::string(what) + ": " + std::strerror(errno),
        .expected = "a file that can be written",
        .advice = "check the free space and the rights of the directory"});
}

uint64_t SafetensorsWriter::declare(const std::string &name, DType dtype, const std::vector<uint64_t> &shape) {
  auto same = [&](const TensorInfo &info) { return info.name == name; };
  if (headerSize != 0 || name == "__metadata__" || std::any_of(infos.begin(), infos.end(), same))
    fail({.file = path, .tensor = name, .found = "a late, reserved or repeated declaration", .expected = "a new name"});
  uint64_t bytes = dtypeSize(dtype);
  bool overflow = false;
  for (uint64_t extent : shape)
    overflow |= __builtin_mul_overflow(bytes, extent, &bytes);
  TensorInfo info{name, dtype, shape, dataBytes(), 0};
  overflow |= __builtin_add_overflow(info.begin, bytes, &info.end);
  if (overflow)
    fail({.file = path, .tensor = name, .found = "shape " + shapeText(shape), .expected = "a size below 2^64"});
  infos.push_back(std::move(info));
  return infos.back().begin;
}

void SafetensorsWriter::setMetadata(const std::string &key, const std::string &value) {
  auto before = meta;
  meta[key] = value;
  if (headerSize != 0 && headerText().size() != headerSize) {
    meta = std::move(before);
    fail({.file = path, .tensor = key, .found = "metadata of another length", .expected = "the length begin() wrote"});
  }
}

std::string SafetensorsWriter::headerText() const {
  std::string text = "{";
  if (!meta.empty())
    text += "\"__metadata__\":" + nlohmann::json(meta).dump();
  for (const TensorInfo &info : infos) {
    if (text.size() > 1)
      text += ",";
    text += nlohmann::json(info.name).dump() + ":{\"dtype\":\"" + dtypeName(info.dtype) +
            "\",\"shape\":" + nlohmann::json(info.shape).dump() + ",\"data_offsets\":[" + std::to_string(info.begin) +
            "," + std::to_string(info.end) + "]}";
  }
  text += "}";
  text.append((64 - (8 + text.size()) % 64) % 64, ' ');
  return text;
}

void SafetensorsWriter::put(const void *bytes, size_t size) {
  if (size != 0 && std::fwrite(bytes, 1, size, stream) != size)
    failIo("write");
}

void SafetensorsWriter::begin() {
  if (stream)
    fail({.file = path, .found = "begin() twice", .expected = "it once"});
  std::string text = headerText();
  if (text.size() > 100'000'000)
    fail({.file = path, .found = "a header of " + std::to_string(text.size()) + " bytes", .expected = "at most 10^8"});
  stream = std::fopen(temporary.c_str(), "wbxe");
  if (!stream)
    failIo("open");
  headerSize = text.size();
  unsigned char length[8];
  for (unsigned i = 0; i < 8; ++i)
    length[i] = static_cast<unsigned char>(headerSize >> (8 * i));
  put(length, 8);
  put(text.data(), text.size());
  closeFullTensors();
}

void SafetensorsWriter::closeFullTensors() {
  while (current < infos.size() && written == infos[current].end) {
    tensorHashes[infos[current].name] = hex64(hasher.digest());
    hasher.reset();
    ++current;
  }
}

void SafetensorsWriter::write(std::span<const std::byte> bytes) {
  if (!stream)
    fail({.file = path, .found = "write() before begin()", .expected = "begin() first"});
  while (!bytes.empty()) {
    if (current == infos.size())
      fail({.file = path, .found = "more bytes than declared", .expected = std::to_string(dataBytes())});
    size_t size = static_cast<size_t>(std::min<uint64_t>(bytes.size(), infos[current].end - written));
    put(bytes.data(), size);
    hasher.update(bytes.first(size));
    written += size;
    bytes = bytes.subspan(size);
    closeFullTensors();
  }
}

void SafetensorsWriter::finish() {
  if (!stream || current != infos.size())
    fail({.file = path,
          .tensor = current < infos.size() ? infos[current].name : "",
          .found = std::to_string(written) + " bytes written",
          .expected = std::to_string(dataBytes())});
  // Metadata may have been replaced (by values of equal length) since begin().
  std::string text = headerText();
  if (std::fseek(stream, 8, SEEK_SET) != 0)
    failIo("seek");
  put(text.data(), text.size());
  std::FILE *done = stream;
  stream = nullptr;
  bool good = std::fflush(done) == 0 && fsync(fileno(done)) == 0;
  good &= std::fclose(done) == 0;
  if (!good || std::rename(temporary.c_str(), path.c_str()) != 0) {
    int code = errno;
    unlink(temporary.c_str());
    errno = code;
    failIo("finish");
  }
}

} // namespace qlr
