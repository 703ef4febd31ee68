//===- Safetensors.h - reader and writer of safetensors files -------------===//
//
// 8 bytes N (little-endian), N bytes of JSON {name: {dtype, shape, data_offsets}, "__metadata__": {string: string}},
// then the data. The reader makes every check of the reference reader (huggingface/safetensors, Rust).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/format/Hash.h"
#include "runtime/format/MappedFile.h"

#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace qlr {

enum class DType { BOOL, U8, I8, F8_E5M2, F8_E4M3, F8_E8M0, I16, U16, F16, BF16, I32, U32, F32, C64, F64, I64, U64 };

/// "BF16", as in the file.
const char *dtypeName(DType dtype);
/// Bytes of one element.
unsigned dtypeSize(DType dtype);

struct TensorInfo {
  std::string name;
  DType dtype = DType::U8;
  std::vector<uint64_t> shape;
  /// Offsets in the data section.
  uint64_t begin = 0, end = 0;

  uint64_t bytes() const { return end - begin; }
  uint64_t elements() const { return bytes() / dtypeSize(dtype); }
};

/// "[2, 3]", for messages.
std::string shapeText(const std::vector<uint64_t> &shape);

/// A checked, memory-mapped file. Opening touches only the header's pages.
class SafetensorsFile {
public:
  /// Throws Error that names the file, the tensor, what was found and what was expected.
  static SafetensorsFile open(const std::string &path);
  /// The checks of open() on bytes in memory, for fuzzing; `name` stands in messages. Nothing may outlive `bytes`.
  static SafetensorsFile view(std::span<const std::byte> bytes, const std::string &name);

  const std::string &path() const { return name; }
  const std::map<std::string, TensorInfo> &tensors() const { return infos; }
  const std::map<std::string, std::string> &metadata() const { return meta; }

  bool has(const std::string &tensor) const { return infos.count(tensor) != 0; }
  /// Throws Error when there is no such tensor.
  const TensorInfo &info(const std::string &tensor) const;
  std::span<const std::byte> data(const std::string &tensor) const;

  /// All tensors' bytes, in file order.
  std::span<const std::byte> dataBytes() const { return content.subspan(headerEnd); }
  const std::byte *dataSection() const { return content.data() + headerEnd; }
  /// The JSON text of the header, padding included.
  std::string_view header() const {
    return {reinterpret_cast<const char *>(content.data()) + 8, static_cast<size_t>(headerEnd) - 8};
  }

private:
  void parse();

  std::string name;
  MappedFile file;
  std::span<const std::byte> content;
  uint64_t headerEnd = 8;
  std::map<std::string, TensorInfo> infos;
  std::map<std::string, std::string> meta;
};

/// Streams a new file: declare everything, begin(), write all bytes in declared order, finish(). The data goes to a
/// temporary file beside `path`, renamed by finish() and removed when the writer dies unfinished. The data section
/// starts at a multiple of 64 bytes.
class SafetensorsWriter {
public:
  explicit SafetensorsWriter(std::string path);
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter &) = delete;
  SafetensorsWriter &operator=(const SafetensorsWriter &) = delete;

  /// Returns the tensor's offset in the data section. Before begin() only.
  uint64_t declare(const std::string &name, DType dtype, const std::vector<uint64_t> &shape);
  /// After begin(), only to replace a value by one of the same length (hashes, known at the end): the header must keep
  /// its size.
  void setMetadata(const std::string &key, const std::string &value);
  void begin();
  /// Appends to the current tensor, going over to the next ones when it is full.
  void write(std::span<const std::byte> bytes);
  /// Throws when bytes are missing. Returns after the file stands under its name.
  void finish();

  const std::vector<TensorInfo> &tensors() const { return infos; }
  uint64_t dataBytes() const { return infos.empty() ? 0 : infos.back().end; }
  /// XXH64 (hex) of each tensor; complete once all bytes are written.
  const std::map<std::string, std::string> &hashes() const { return tensorHashes; }
  /// The padded JSON text of the header as it stands now.
  std::string headerText() const;

private:
  [[noreturn]] void failIo(const char *what) const;
  void closeFullTensors();
  void put(const void *bytes, size_t size);

  std::string path, temporary;
  std::vector<TensorInfo> infos;
  std::map<std::string, std::string> meta;
  std::map<std::string, std::string> tensorHashes;
  Hasher hasher;
  std::FILE *stream = nullptr;
  size_t current = 0;   // tensor being written
  uint64_t written = 0; // bytes of the data section
  uint64_t headerSize = 0;
};

} // namespace qlr
