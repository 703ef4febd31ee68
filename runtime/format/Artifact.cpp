#include "runtime/format/Artifact.h"
#include "runtime/format/Error.h"
#include "runtime/format/Json.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

namespace qlr {

using nlohmann::json;

namespace {

constexpr const char *versionKey = "qlr.version";
constexpr const char *planKey = "qlr.plan";
constexpr const char *otherPlanPrefix = "qlr.plan."; // then the target
constexpr const char *provenanceKey = "qlr.provenance";
constexpr const char *tensorHashesKey = "qlr.tensor_hashes";
constexpr const char *headerHashKey = "qlr.header_hash";
constexpr const char *artifactVersion = "1";
constexpr const char *damaged = "the artifact is damaged or incomplete: compile the model again";
const std::string zeroHash(16, '0');

std::span<const std::byte> asBytes(std::string_view text) {
  return {reinterpret_cast<const std::byte *>(text.data()), text.size()};
}

/// XXH64 of the header's text with the digits of the hash itself replaced by zeros.
std::string headerHash(std::string text, const std::string &hash) {
  std::string key = std::string("\"") + headerHashKey + "\":\"";
  size_t at = text.find(key + hash + "\"");
  if (at != std::string::npos)
    text.replace(at + key.size(), hash.size(), zeroHash);
  return xxh64Hex(asBytes(text));
}

} // namespace

Artifact Artifact::open(const std::string &path, Verify verify) {
  Artifact result;
  result.file = SafetensorsFile::open(path);
  const auto &meta = result.file.metadata();
  auto get = [&](const char *key) -> const std::string & {
    auto it = meta.find(key);
    if (it == meta.end())
      fail({.file = path,
            .found = std::string("no ") + key + " in its metadata",
            .expected = "an artifact of `qlr compile`",
            .advice = "give a .qlr file, or a model directory"});
    return it->second;
  };
  if (get(versionKey) != artifactVersion)
    fail({.file = path,
          .found = "artifact version " + get(versionKey).substr(0, 20),
          .expected = artifactVersion,
          .advice = "compile the model again with this version of qlr"});
  const std::string &hash = get(headerHashKey);
  std::string computed = headerHash(std::string(result.file.header()), hash);
  if (computed != hash)
    fail({.file = path,
          .tensor = "header",
          .found = "hash " + computed,
          .expected = hash.substr(0, 20),
          .advice = damaged});
  get(planKey);
  result.readPlans();
  result.theProvenance = parseJson(get(provenanceKey), path);
  json hashes = parseJson(get(tensorHashesKey), path);
  for (const auto &[name, info] : result.file.tensors()) {
    if (!hashes.is_object() || !hashes.contains(name) || !hashes[name].is_string())
      fail({.file = path, .tensor = name, .found = "no hash", .expected = "one for every tensor", .advice = damaged});
    result.tensorHashes[name] = hashes[name].get<std::string>();
  }
  if (result.plan().weightsPresent && result.weights().size() != result.plan().weightsBytes)
    fail({.file = path,
          .tensor = "weights",
          .found = std::to_string(result.weights().size()) + " bytes",
          .expected = std::to_string(result.plan().weightsBytes) + " by the plan",
          .advice = damaged});
  if (verify == Verify::Tensors)
    result.verifyTensors();
  return result;
}

void Artifact::readPlans() {
  auto add = [&](const std::string &key, const std::string &text) {
    Plan plan = Plan::fromJson(text, path());
    auto refuse = [&](const std::string &what, const std::string &found, const std::string &expected) {
      fail({.file = path(), .tensor = key + "." + what, .found = found, .expected = expected, .advice = damaged});
    };
    for (const std::string &known : targetNames)
      if (plan.target == known)
        refuse("target", "a second plan for " + known, "one");
    if (key != planKey && key != otherPlanPrefix + plan.target)
      refuse("target", plan.target, key.substr(std::string_view(otherPlanPrefix).size()));
    // All targets share one weights arena and are the same model.
    if (!plans.empty()) {
      const Plan &first = plans.front().second;
      if (plan.weightsBytes != first.weightsBytes || plan.weightsPresent != first.weightsPresent)
        refuse("weights_bytes", std::to_string(plan.weightsBytes), std::to_string(first.weightsBytes));
      if (plan.model != first.model)
        refuse("model", "another model", "that of " + first.target);
    }
    targetNames.push_back(plan.target);
    plans.emplace_back(plan.target, std::move(plan));
  };
  const auto &meta = file.metadata();
  add(planKey, meta.at(planKey));
  for (const auto &[key, text] : meta)
    if (key.starts_with(otherPlanPrefix))
      add(key, text);
}

const Plan &Artifact::plan(const std::string &target) const {
  std::string known;
  for (const auto &[name, plan] : plans) {
    if (name == target)
      return plan;
    known += (known.empty() ? "" : ", ") + name;
  }
  fail({.file = path(),
        .found = "an artifact for " + known,
        .expected = "one for " + target,
        .advice = "compile it with --target " + target});
}

std::span<const std::byte> Artifact::weights() const {
  uint64_t end = 0;
  for (const auto &[name, info] : file.tensors())
    if (name.starts_with("weights/"))
      end = std::max(end, info.end);
  return file.dataBytes().first(end);
}

std::span<const std::byte> Artifact::kernels(const std::string &target) const {
  std::string name = "kernels/" + target;
  if (!file.has(name))
    fail({.file = path(),
          .tensor = name,
          .found = "no kernels for this target",
          .expected = "the target it was compiled for: " + plan().target,
          .advice = "compile it with --target " + target});
  return file.data(name);
}

std::optional<std::string_view> Artifact::tokenizerFile(const std::string &name) const {
  std::string tensor = "tokenizer/" + name;
  if (!file.has(tensor))
    return std::nullopt;
  auto bytes = file.data(tensor);
  return std::string_view(reinterpret_cast<const char *>(bytes.data()), bytes.size());
}

void Artifact::verifyTensors(std::string_view prefix) const {
  std::vector<const TensorInfo *> order;
  for (const auto &[name, info] : file.tensors())
    if (name.starts_with(prefix))
      order.push_back(&info);
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  const TensorInfo *wrong = nullptr;
  std::string wrongHash;
  auto work = [&] {
    for (size_t i; (i = next++) < order.size();) {
      std::string hash = xxh64Hex(file.data(order[i]->name));
      if (hash == tensorHashes.at(order[i]->name))
        continue;
      // The first in file order is named, whatever thread found it.
      std::lock_guard lock(mutex);
      if (!wrong || order[i]->begin < wrong->begin) {
        wrong = order[i];
        wrongHash = hash;
      }
    }
  };
  std::thread other(work);
  work();
  other.join();
  if (wrong)
    fail({.file = path(),
          .tensor = wrong->name,
          .found = "hash " + wrongHash,
          .expected = tensorHashes.at(wrong->name).substr(0, 20),
          .advice = damaged});
}

uint64_t ArtifactWriter::declareWeight(const std::string &name, uint64_t bytes) {
  sizes.push_back(bytes);
  return writer.declare("weights/" + name, DType::U8, {arenaBytes(bytes)});
}

void ArtifactWriter::declareKernels(const std::string &target, uint64_t bytes) {
  sizes.push_back(bytes);
  writer.declare("kernels/" + target, DType::U8, {bytes});
}

void ArtifactWriter::declareTokenizerFile(const std::string &name, uint64_t bytes) {
  sizes.push_back(bytes);
  writer.declare("tokenizer/" + name, DType::U8, {bytes});
}

void ArtifactWriter::setPlan(const Plan &plan) {
  if (firstTarget.empty())
    firstTarget = plan.target;
  writer.setMetadata(plan.target == firstTarget ? planKey : otherPlanPrefix + plan.target, plan.toJson());
}

void ArtifactWriter::setProvenance(const json &provenance) { writer.setMetadata(provenanceKey, provenance.dump()); }

void ArtifactWriter::begin() {
  // Hashes are known at the end; zeros keep their place in the header.
  std::map<std::string, std::string> hashes;
  for (const TensorInfo &info : writer.tensors())
    hashes[info.name] = zeroHash;
  writer.setMetadata(versionKey, artifactVersion);
  writer.setMetadata(tensorHashesKey, json(hashes).dump());
  writer.setMetadata(headerHashKey, zeroHash);
  writer.begin();
  pad();
}

/// Completes everything whose own bytes have all come.
void ArtifactWriter::pad() {
  static const std::byte zeros[128] = {};
  while (current < sizes.size() && written == sizes[current]) {
    writer.write(std::span(zeros).first(writer.tensors()[current].bytes() - sizes[current]));
    written = 0;
    ++current;
  }
}

void ArtifactWriter::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (current == sizes.size())
      fail({.found = "more bytes than declared for the artifact", .expected = "only what was declared"});
    size_t size = static_cast<size_t>(std::min<uint64_t>(bytes.size(), sizes[current] - written));
    writer.write(bytes.first(size));
    written += size;
    bytes = bytes.subspan(size);
    pad();
  }
}

void ArtifactWriter::finish() {
  writer.setMetadata(tensorHashesKey, json(writer.hashes()).dump());
  writer.setMetadata(headerHashKey, xxh64Hex(asBytes(writer.headerText())));
  writer.finish();
}

} // namespace qlr
