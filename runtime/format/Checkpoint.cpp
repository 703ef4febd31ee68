#include "runtime/format/Checkpoint.h"
#include "runtime/format/Error.h"
#include "runtime/format/Half.h"
#include "runtime/format/Json.h"

#include <cstring>

namespace qlr {

namespace {

constexpr const char *singleName = "model.safetensors";
constexpr const char *indexName = "model.safetensors.index.json";
constexpr size_t maxShards = 100'000;

/// tensor -> file name, as the index says.
std::map<std::string, std::string> readIndex(const std::string &path) {
  nlohmann::json root = parseJsonFile(path);
  JsonObject index(root, path);
  const auto &map = index.at("weight_map");
  if (!map.is_object() || map.empty())
    index.refuse("weight_map", &map, "an object of tensor names and file names");
  std::map<std::string, std::string> result;
  for (const auto &[tensor, file] : map.items()) {
    if (!file.is_string())
      fail({.file = path, .tensor = tensor, .found = shown(file), .expected = "a file name"});
    std::string name = file.get<std::string>();
    // A checkpoint is data: it must not reach outside its own directory.
    if (name.empty() || name.front() == '.' || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos)
      fail({.file = path, .tensor = tensor, .found = shown(file), .expected = "a file name of the same directory"});
    result[tensor] = name;
  }
  return result;
}

} // namespace

Checkpoint Checkpoint::open(const std::string &dir) {
  Checkpoint result;
  result.dir = dir;
  std::string single = joinPath(dir, singleName), indexPath = joinPath(dir, indexName);
  bool hasIndex = fileExists(indexPath), hasSingle = fileExists(single);
  if (!hasIndex && !hasSingle)
    fail(
        {.file = dir,
         .found = "no weights",
         .expected = std::string(singleName) + " or " + indexName + " with its shards",
         .advice = "give the directory of a model in Hugging Face layout (pickled .bin and .pt files are never read)"});
  if (!hasIndex) {
    result.shards.push_back(SafetensorsFile::open(single));
    for (const auto &[name, info] : result.shards[0].tensors())
      result.where[name] = 0;
    return result;
  }

  auto index = readIndex(indexPath);
  std::map<std::string, size_t> shardNumbers;
  for (const auto &[tensor, file] : index)
    shardNumbers.emplace(file, 0);
  if (hasSingle && !shardNumbers.count(singleName))
    fail({.file = dir,
          .found = std::string("both ") + singleName + " and an index of other files",
          .expected = "one of them",
          .advice = "delete the one that is left over from another conversion"});
  if (shardNumbers.size() > maxShards)
    fail({.file = indexPath, .found = std::to_string(shardNumbers.size()) + " shards", .expected = "at most 100000"});
  // All shards must be there before any is read: a model with holes must never load.
  std::string missing;
  size_t missingCount = 0;
  for (const auto &[file, number] : shardNumbers)
    if (!fileExists(joinPath(dir, file)) && missingCount++ < 5)
      missing += (missing.empty() ? "" : ", ") + file;
  if (missingCount != 0)
    fail({.file = indexPath,
          .found = std::to_string(missingCount) + " of " + std::to_string(shardNumbers.size()) +
                   " shards missing: " + missing + (missingCount > 5 ? ", ..." : ""),
          .expected = "every file of weight_map",
          .advice = "finish the download"});
  for (auto &[file, number] : shardNumbers) {
    number = result.shards.size();
    result.shards.push_back(SafetensorsFile::open(joinPath(dir, file)));
  }
  for (const auto &[tensor, file] : index) {
    size_t number = shardNumbers.at(file);
    if (!result.shards[number].has(tensor))
      fail({.file = indexPath,
            .tensor = tensor,
            .found = "it is not in " + file,
            .expected = "the tensor in the file that the index names",
            .advice = "index and shards are of different downloads: get all of them again"});
    result.where[tensor] = number;
  }
  for (const SafetensorsFile &shard : result.shards)
    for (const auto &[tensor, info] : shard.tensors())
      if (!index.count(tensor))
        fail({.file = shard.path(),
              .tensor = tensor,
              .found = std::string("it is not in ") + indexName,
              .expected = "an index that lists every tensor",
              .advice = "the index is stale: get index and shards of one version"});
  return result;
}

const SafetensorsFile &Checkpoint::file(const std::string &tensor) const {
  auto it = where.find(tensor);
  if (it == where.end())
    fail({.file = dir,
          .tensor = tensor,
          .found = "no such tensor",
          .expected = "one of that name",
          .advice = "the weights do not fit config.json, or the checkpoint is incomplete"});
  return shards[it->second];
}

const TensorInfo &Checkpoint::info(const std::string &tensor) const { return file(tensor).info(tensor); }

std::span<const std::byte> Checkpoint::data(const std::string &tensor) const { return file(tensor).data(tensor); }

const TensorInfo &Checkpoint::require(const std::string &tensor, DType dtype,
                                      const std::vector<uint64_t> &shape) const {
  const TensorInfo &found = info(tensor);
  if (found.dtype != dtype || found.shape != shape)
    fail({.file = file(tensor).path(),
          .tensor = tensor,
          .found = std::string(dtypeName(found.dtype)) + " " + shapeText(found.shape),
          .expected = std::string(dtypeName(dtype)) + " " + shapeText(shape),
          .advice = "config.json and the weights are not of one model"});
  return found;
}

std::optional<std::string> Checkpoint::metadata(const std::string &key) const {
  std::optional<std::string> value;
  for (const SafetensorsFile &shard : shards) {
    auto it = shard.metadata().find(key);
    if (it == shard.metadata().end())
      continue;
    if (value && *value != it->second)
      fail({.file = shard.path(),
            .tensor = "__metadata__." + key,
            .found = it->second.substr(0, 60),
            .expected = value->substr(0, 60) + " as in another shard",
            .advice = "the shards are not of one model"});
    value = it->second;
  }
  return value;
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> result;
  for (const auto &[name, shard] : where)
    result.push_back(name);
  return result;
}

std::vector<float> Checkpoint::floats(const std::string &tensor) const {
  const TensorInfo &entry = info(tensor);
  std::span<const std::byte> bytes = data(tensor);
  std::vector<float> result(entry.elements());
  if (entry.dtype == DType::F32) {
    std::memcpy(result.data(), bytes.data(), bytes.size());
    return result;
  }
  if (entry.dtype != DType::F16 && entry.dtype != DType::BF16)
    fail({.file = file(tensor).path(),
          .tensor = tensor,
          .found = dtypeName(entry.dtype),
          .expected = "F32, F16 or BF16"});
  for (size_t i = 0; i < result.size(); ++i) {
    uint16_t half;
    std::memcpy(&half, bytes.data() + 2 * i, 2); // the file promises no alignment
    result[i] = entry.dtype == DType::F16 ? f16ToF32(half) : bf16ToF32(half);
  }
  return result;
}

} // namespace qlr
