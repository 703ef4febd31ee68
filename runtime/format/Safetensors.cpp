#include "runtime/format/Safetensors.h"
#include "runtime/format/Error.h"
#include "runtime/format/Json.h"

#include <algorithm>
#include <cstring>

namespace qlr {

using nlohmann::json;

namespace {

struct DTypeInfo {
  DType dtype;
  const char *name;
  unsigned size;
};

constexpr DTypeInfo dtypes[] = {
    {DType::BOOL, "BOOL", 1},       {DType::U8, "U8", 1},           {DType::I8, "I8", 1},
    {DType::F8_E5M2, "F8_E5M2", 1}, {DType::F8_E4M3, "F8_E4M3", 1}, {DType::F8_E8M0, "F8_E8M0", 1},
    {DType::I16, "I16", 2},         {DType::U16, "U16", 2},         {DType::F16, "F16", 2},
    {DType::BF16, "BF16", 2},       {DType::I32, "I32", 4},         {DType::U32, "U32", 4},
    {DType::F32, "F32", 4},         {DType::C64, "C64", 8},         {DType::F64, "F64", 8},
    {DType::I64, "I64", 8},         {DType::U64, "U64", 8},
};

constexpr uint64_t maxHeader = 100'000'000; // the reference reader's limit
/// Nesting a header needs is 3; a little more leaves room for keys that later writers add.
constexpr unsigned maxHeaderDepth = 8;
constexpr size_t maxDimensions = 64;

const DTypeInfo &lookUp(DType dtype) { return dtypes[static_cast<size_t>(dtype)]; }

const char *const damaged = "the file is damaged or incomplete: get it again";

/// One entry of the header; offsets are not yet compared with those of other tensors.
TensorInfo parseTensor(const std::string &file, const std::string &name, const json &value) {
  auto refuse = [&](const std::string &found, const std::string &expected) {
    fail({.file = file, .tensor = name, .found = found, .expected = expected, .advice = damaged});
  };
  auto member = [&](const char *key) -> const json & {
    auto it = value.find(key);
    if (it == value.end())
      refuse(std::string("no ") + key, "dtype, shape and data_offsets");
    return *it;
  };
  if (!value.is_object())
    refuse(shown(value), "an object with dtype, shape and data_offsets");

  TensorInfo info;
  info.name = name;
  const json &dtype = member("dtype");
  const auto *known = std::find_if(std::begin(dtypes), std::end(dtypes),
                                   [&](const DTypeInfo &d) { return dtype.is_string() && dtype == d.name; });
  if (known == std::end(dtypes))
    refuse("dtype " + shown(dtype), "a known dtype (BOOL, U8 ... F64)");
  info.dtype = known->dtype;

  const json &shape = member("shape");
  if (!shape.is_array() || shape.size() > maxDimensions)
    refuse("shape " + shown(shape), "a list of at most 64 non-negative integers");
  // As the reference does: the elements first, so that [2^62, 0] is empty and [2^63, 4, 0] is refused.
  uint64_t bytes = 1;
  auto multiply = [&](uint64_t factor) {
    if (__builtin_mul_overflow(bytes, factor, &bytes))
      refuse("a shape whose size overflows 64 bits", "a shape that fits the file");
  };
  for (const json &extent : shape) {
    if (!extent.is_number_unsigned())
      refuse("shape with " + shown(extent), "non-negative integers");
    info.shape.push_back(extent.get<uint64_t>());
    multiply(info.shape.back());
  }
  multiply(known->size);

  const json &offsets = member("data_offsets");
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned())
    refuse("data_offsets " + offsets.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 60),
           "exactly two non-negative integers");
  info.begin = offsets[0].get<uint64_t>();
  info.end = offsets[1].get<uint64_t>();
  if (info.end < info.begin)
    refuse("data_offsets " + offsets.dump(), "a begin that is not past the end");
  if (info.end - info.begin != bytes)
    refuse(std::to_string(info.end - info.begin) + " bytes by data_offsets",
           std::to_string(bytes) + " for " + known->name + " " + shapeText(info.shape));
  return info;
}

} // namespace

const char *dtypeName(DType dtype) { return lookUp(dtype).name; }
unsigned dtypeSize(DType dtype) { return lookUp(dtype).size; }

std::string shapeText(const std::vector<uint64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

SafetensorsFile SafetensorsFile::open(const std::string &path) {
  SafetensorsFile result;
  result.name = path;
  result.file = MappedFile::open(path);
  result.content = result.file.bytes();
  result.parse();
  return result;
}

SafetensorsFile SafetensorsFile::view(std::span<const std::byte> bytes, const std::string &name) {
  SafetensorsFile result;
  result.name = name;
  result.content = bytes;
  result.parse();
  return result;
}

void SafetensorsFile::parse() {
  auto refuse = [&](const std::string &found, const std::string &expected) {
    fail({.file = name, .found = found, .expected = expected, .advice = damaged});
  };
  refuseImpostor({reinterpret_cast<const char *>(content.data()), content.size()}, name);
  if (content.size() < 8)
    refuse(std::to_string(content.size()) + " bytes", "at least 8: a safetensors file starts with its header's length");
  uint64_t length = 0;
  for (unsigned i = 0; i < 8; ++i)
    length |= static_cast<uint64_t>(content[i]) << (8 * i);
  if (length > maxHeader)
    refuse("a header of " + std::to_string(length) + " bytes", "at most " + std::to_string(maxHeader));
  if (length > content.size() - 8)
    refuse("a header of " + std::to_string(length) + " bytes in a file of " + std::to_string(content.size()),
           "a header that fits the file");
  headerEnd = 8 + length;
  std::string_view text = header();
  if (text.empty() || text.front() != '{')
    refuse("a header that does not start with {", "a JSON object");
  json root = parseJson(text, name, maxHeaderDepth);

  std::vector<const TensorInfo *> order;
  for (const auto &[key, value] : root.items()) {
    if (key == "__metadata__") {
      if (!value.is_object())
        refuse("__metadata__ " + shown(value), "an object of strings");
      for (const auto &[metaKey, metaValue] : value.items()) {
        if (!metaValue.is_string())
          fail({.file = name,
                .tensor = "__metadata__." + metaKey,
                .found = shown(metaValue),
                .expected = "a string",
                .advice = damaged});
        meta.emplace(metaKey, metaValue.get<std::string>());
      }
      continue;
    }
    order.push_back(&infos.emplace(key, parseTensor(name, key, value)).first->second);
  }

  std::sort(order.begin(), order.end(), [](const TensorInfo *a, const TensorInfo *b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  uint64_t end = 0;
  for (const TensorInfo *info : order) {
    if (info->begin != end)
      fail({.file = name,
            .tensor = info->name,
            .found = "data from byte " + std::to_string(info->begin),
            .expected = "from " + std::to_string(end) + ": tensors follow one another without holes or overlaps",
            .advice = damaged});
    end = info->end;
  }
  if (end != content.size() - headerEnd)
    refuse(std::to_string(content.size() - headerEnd) + " bytes of data", std::to_string(end) + " by the header");
}

const TensorInfo &SafetensorsFile::info(const std::string &tensor) const {
  auto it = infos.find(tensor);
  if (it == infos.end())
    fail({.file = name, .tensor = tensor, .found = "no such tensor", .expected = "one of that name"});
  return it->second;
}

std::span<const std::byte> SafetensorsFile::data(const std::string &tensor) const {
  const TensorInfo &entry = info(tensor);
  return dataBytes().subspan(entry.begin, entry.bytes());
}

} // namespace qlr
