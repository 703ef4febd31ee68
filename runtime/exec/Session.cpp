#include "runtime/exec/Session.h"

#include "runtime/exec/Memory.h"
#include "runtime/format/Error.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace qlr {
namespace {

// The cache's parts are `value * positions` bytes from its start: a multiple of 64 positions keeps them aligned.
constexpr uint32_t contextGranule = 64;
constexpr uint32_t defaultContext = 4096;

uint64_t cachePositions(uint32_t context) {
  return (uint64_t{context} + contextGranule - 1) / contextGranule * contextGranule;
}

uint64_t alignUp(uint64_t bytes) { return (bytes + Plan::alignment - 1) / Plan::alignment * Plan::alignment; }

/// The plans that a session with this context uses, largest first.
std::vector<const TokenPlan *> usablePlans(const Plan &plan, uint32_t context, bool allLogits, uint32_t largestChunk) {
  std::vector<const TokenPlan *> result;
  for (const TokenPlan &tokens : plan.plans)
    if (tokens.tokens <= context && tokens.tokens <= largestChunk && plan.find(tokens.tokens, allLogits) == &tokens)
      result.push_back(&tokens);
  std::sort(result.begin(), result.end(), [](auto *a, auto *b) { return a->tokens > b->tokens; });
  return result;
}

} // namespace

uint64_t weightBytesOf(const TokenPlan &plan) {
  uint64_t bytes = 0;
  for (const PlanStep &step : plan.steps)
    bytes += step.weightBytes;
  return bytes;
}

uint64_t logitsStride(const Plan &plan) { return (uint64_t{plan.model.vocab} + 15) / 16 * 16; }

std::optional<size_t> findNonFinite(std::span<const float> values) {
  constexpr uint32_t exponent = 0x7f800000;
  constexpr size_t block = 4096;
  for (size_t begin = 0; begin < values.size(); begin += block) {
    size_t end = std::min(values.size(), begin + block);
    uint32_t bad = 0;
    for (size_t i = begin; i < end; ++i)
      bad |= (std::bit_cast<uint32_t>(values[i]) & exponent) == exponent;
    if (bad)
      for (size_t i = begin; i < end; ++i)
        if ((std::bit_cast<uint32_t>(values[i]) & exponent) == exponent)
          return i;
  }
  return std::nullopt;
}

std::vector<PlanRegion> regionsOnHost(const Plan &plan, const DeviceOptions &options, const std::string &file) {
  using Kind = PlanRegion::Kind;
  auto has = [&](Kind kind) {
    return std::any_of(plan.regions.begin(), plan.regions.end(), [&](auto &region) { return region.kind == kind; });
  };
  if (options.embedding == "host" && !has(Kind::Embedding))
    fail({.file = file,
          .tensor = "--embedding",
          .found = "host",
          .expected = "a model whose embedding is not its head too",
          .advice = "its one table goes where --head says"});
  std::vector<PlanRegion> result;
  for (const PlanRegion &region : plan.regions)
    if (region.kind == Kind::Embedding ? options.embedding != "device" : options.head == "host")
      result.push_back(region);
  return result;
}

MemoryNeed memoryNeed(const Plan &plan, uint32_t context, bool allLogits, uint32_t largestChunk,
                      std::span<const PlanRegion> onHost) {
  MemoryNeed need;
  for (const PlanRegion &region : onHost)
    need.hostWeights += region.bytes();
  need.weights = plan.weightsBytes - need.hostWeights;
  need.cache = alignUp(plan.cacheBytesPerPosition * cachePositions(context));
  for (const TokenPlan *tokens : usablePlans(plan, context, allLogits, largestChunk))
    need.workspace = std::max(need.workspace, alignUp(tokens->workspaceBytes));
  need.state = alignUp(plan.state.bytes);
  return need;
}

uint32_t largestContext(const Plan &plan, uint64_t available, bool allLogits, std::span<const PlanRegion> onHost) {
  uint32_t low = 0, high = plan.model.maxPositions;
  while (low < high) {
    uint32_t middle = low + (high - low + 1) / 2;
    if (memoryNeed(plan, middle, allLogits, Plan::maxTokens, onHost).total() <= available)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

uint32_t chooseContext(const Plan &plan, std::optional<uint32_t> asked, uint64_t available, bool allLogits,
                       const std::string &file, std::span<const PlanRegion> onHost) {
  const uint32_t limit = plan.model.maxPositions;
  if (asked && *asked > limit)
    fail({.file = file,
          .tensor = "--ctx-size",
          .found = std::to_string(*asked),
          .expected = "at most the model's " + std::to_string(limit) + " positions"});
  const uint32_t fits = largestContext(plan, available, allLogits, onHost);
  uint32_t context = asked.value_or(std::min(defaultContext, limit));
  if (context == 0)
    context = std::max(1u, fits);
  if (context > fits) {
    MemoryNeed need = memoryNeed(plan, context, allLogits, Plan::maxTokens, onHost);
    fail({.file = file,
          .found = formatBytes(available) + " of available memory",
          .expected = formatBytes(need.total()) + " for a context of " + std::to_string(context) + " (weights " +
                      formatBytes(need.weights) + ", cache " + formatBytes(need.cache) + ", workspace " +
                      formatBytes(need.workspace + need.state) + ")",
          .advice = fits ? "the largest context that fits is --ctx-size " + std::to_string(fits)
                         : "no context fits: free memory or compress further"});
  }
  return context;
}

Session::Session(std::shared_ptr<const Artifact> artifact, const SessionOptions &options)
    : source(std::move(artifact)), allLogits(options.allLogits) {
  const std::string &file = source->path();
  if (!source->plan().weightsPresent)
    fail({.file = file,
          .tensor = "weights/",
          .found = "an artifact compiled with --no-weights",
          .expected = "one with weights",
          .advice = "compile again without --no-weights"});
  // A damaged artifact is named before the device that it asks for itself is looked for.
  if (options.device.empty())
    for (const std::string &target : source->targets())
      (void)source->kernels(target);
  ChosenDevice chosen = makeDevice(options.device, source->targets(), options.deviceOptions, file);
  runner = std::move(chosen.device);
  chosenPlan = &source->plan(chosen.target);
  const Plan &plan = *chosenPlan;
  std::vector<PlanRegion> onHost;
  if (runner->hasOwnMemory())
    onHost = regionsOnHost(plan, options.deviceOptions, file);
  capacity = chooseContext(plan, options.context, runner->availableMemory(), allLogits, file, onHost);
  need = memoryNeed(plan, capacity, allLogits, options.largestChunk, onHost);

  std::vector<const TokenPlan *> plans = usablePlans(plan, capacity, allLogits, options.largestChunk);
  if (plans.empty() || plans.back()->tokens != 1)
    fail({.file = file,
          .tensor = "qlr.plan",
          .found = "no plan for one token",
          .expected = "one",
          .advice = "compile again"});
  runner->loadKernels(plan, source->kernels(plan.target), file);
  runner->reserve(need, onHost);
  runner->uploadWeights(source->weights(), file);
  runner->allocate(Arena::Cache, need.cache);
  runner->allocate(Arena::Workspace, need.workspace);
  runner->allocate(Arena::State, need.state);
  for (const TokenPlan *tokens : plans)
    chunks.push_back({tokens, runner->prepare(plan, *tokens, cachePositions(capacity)), weightBytesOf(*tokens)});
}

const TokenPlan *Session::tokenPlan(uint32_t tokens) const {
  for (const Chunk &chunk : chunks)
    if (chunk.plan->tokens == tokens)
      return chunk.plan;
  return nullptr;
}

void Session::rewind(uint32_t position) {
  if (position > used)
    fail({.found = "a rewind to position " + std::to_string(position), .expected = "at most " + std::to_string(used)});
  used = position;
}

const Session::Chunk &Session::chunkFor(size_t remaining) const {
  for (const Chunk &chunk : chunks)
    if (chunk.plan->tokens <= remaining)
      return chunk;
  return chunks.back();
}

void Session::checkIds(std::span<const uint32_t> ids) const {
  for (uint32_t id : ids)
    if (id >= vocab())
      fail({.file = source->path(),
            .tensor = "token ids",
            .found = std::to_string(id),
            .expected = "0 to " + std::to_string(vocab() - 1)});
  if (ids.size() > capacity - used)
    fail({.file = source->path(),
          .found = std::to_string(used + ids.size()) + " tokens",
          .expected = "at most the context's " + std::to_string(capacity),
          .advice = capacity < plan().model.maxPositions
                        ? "raise --ctx-size (the model's limit is " + std::to_string(plan().model.maxPositions) + ")"
                        : "this is the model's limit: shorten the text"});
}

std::span<const float> Session::launch(const Chunk &chunk, std::span<const uint32_t> ids) {
  const PlanState &state = plan().state;
  const int32_t position = static_cast<int32_t>(used);
  runner->upload(Arena::State, state.position, std::as_bytes(std::span(&position, 1)));
  runner->upload(Arena::State, state.ids, std::as_bytes(ids));
  runner->launch(chunk.handle);
  runner->synchronize();
  weightBytes += chunk.weightBytes;
  const uint64_t rows = chunk.plan->allLogits ? ids.size() : 1, stride = logitsStride(plan());
  const uint64_t floats = (rows - 1) * stride + vocab();
  std::span<const std::byte> bytes =
      runner->download(Arena::Workspace, chunk.plan->logitsOffset, floats * sizeof(float));
  std::span<const float> logits(reinterpret_cast<const float *>(bytes.data()), floats);
  for (uint64_t row = 0; row < rows; ++row)
    if (auto bad = findNonFinite(logits.subspan(row * stride, vocab())))
      fail({.file = source->path(),
            .tensor = "logits",
            .found = "a value that is not finite for token " + std::to_string(*bad) + " at position " +
                     std::to_string(rows == 1 ? used + ids.size() - 1 : used + row),
            .expected = "finite numbers",
            .advice = "the model's weights overflow or are damaged"});
  used += static_cast<uint32_t>(ids.size());
  return logits;
}

std::span<const float> Session::append(std::span<const uint32_t> ids, const std::function<bool()> &cancelled) {
  checkIds(ids);
  std::span<const float> logits;
  while (!ids.empty()) {
    if (cancelled && cancelled())
      return {};
    const Chunk &chunk = chunkFor(ids.size());
    const uint32_t tokens = chunk.plan->tokens;
    logits = launch(chunk, ids.first(tokens));
    ids = ids.subspan(tokens);
  }
  return logits.empty() ? logits : logits.last(vocab());
}

void Session::appendAll(std::span<const uint32_t> ids, const LogitsSink &sink) {
  if (!allLogits)
    fail({.found = "a session with the last position's logits only", .expected = "one with all logits"});
  checkIds(ids);
  while (!ids.empty()) {
    const Chunk &chunk = chunkFor(ids.size());
    const uint32_t tokens = chunk.plan->tokens;
    std::span<const float> logits = launch(chunk, ids.first(tokens));
    sink(used - tokens, tokens, logits.data(), logitsStride(plan()));
    ids = ids.subspan(tokens);
  }
}

} // namespace qlr
