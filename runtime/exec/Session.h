// One sequence of tokens going through a compiled model.
#pragma once

#include "runtime/exec/Device.h"
#include "runtime/format/Artifact.h"

#include <functional>
#include <optional>

namespace qlr {

/// The parts of the weights that `options` leave in the host's memory, on a device that has memory of its own. Throws
/// Error for a wish that the model cannot fulfil.
std::vector<PlanRegion> regionsOnHost(const Plan &plan, const DeviceOptions &options, const std::string &file);

/// What running `plan` with a context of `context` tokens takes. `allLogits`: with the logits of every position.
/// `onHost`: parts of the weights that stay in the host's memory.
MemoryNeed memoryNeed(const Plan &plan, uint32_t context, bool allLogits, uint32_t largestChunk = Plan::maxTokens,
                      std::span<const PlanRegion> onHost = {});

/// The longest context whose memoryNeed is within `available`; 0 when not even one token fits.
uint32_t largestContext(const Plan &plan, uint64_t available, bool allLogits, std::span<const PlanRegion> onHost = {});

/// The context to run with. `asked`: nothing = min(4096, the model's), 0 = the model's, bounded by memory. Throws Error
/// naming the bytes needed and the largest context that fits, or the model's limit.
uint32_t chooseContext(const Plan &plan, std::optional<uint32_t> asked, uint64_t available, bool allLogits,
                       const std::string &file, std::span<const PlanRegion> onHost = {});

struct SessionOptions {
  std::string device; ///< as makeDevice's `name`
  DeviceOptions deviceOptions;
  std::optional<uint32_t> context;         ///< as chooseContext's `asked`
  uint32_t largestChunk = Plan::maxTokens; ///< most tokens of one launch
  bool allLogits = false;                  ///< logits of every position can be had, instead of the last one's only
};

/// Runs the plans of an artifact on a device. All memory is taken at construction. Throws Error; a session that has
/// thrown while running holds an undefined cache and must be reset().
class Session {
public:
  /// Called with the position of the first row, the number of rows, and the logits, row after row, `stride` floats
  /// apart. The memory is valid during the call.
  using LogitsSink = std::function<void(uint32_t first, uint32_t rows, const float *logits, uint64_t stride)>;

  Session(std::shared_ptr<const Artifact> artifact, const SessionOptions &options);

  const Artifact &artifact() const { return *source; }
  const Plan &plan() const { return *chosenPlan; }
  Device &device() { return *runner; }
  MemoryNeed memory() const { return need; }

  uint32_t context() const { return capacity; }
  uint32_t position() const { return used; }
  uint32_t vocab() const { return plan().model.vocab; }

  /// Forgets every token from `position` on.
  void rewind(uint32_t position);
  void reset() { rewind(0); }

  /// Takes `ids` (at least one) into the cache, in pieces of 128, 8 and 1, and returns the logits of the last one,
  /// valid until the next call. Refuses ids outside the vocabulary and more tokens than the context has room for.
  /// `cancelled` is asked between pieces; when it says true, nothing is returned and position() says how far it came.
  std::span<const float> append(std::span<const uint32_t> ids, const std::function<bool()> &cancelled = {});

  /// As append, handing over the logits of every position. Only with SessionOptions::allLogits.
  void appendAll(std::span<const uint32_t> ids, const LogitsSink &sink);

  /// Tokens of the first piece that `remaining` tokens are cut into.
  uint32_t chunkTokens(size_t remaining) const { return chunkFor(remaining).plan->tokens; }

  /// Bytes of weights that all launches so far have read, as the plan counts them.
  uint64_t weightBytesRead() const { return weightBytes; }

  /// The plan of `tokens` tokens that append uses; null when the artifact has none or it exceeds the context.
  const TokenPlan *tokenPlan(uint32_t tokens) const;

private:
  struct Chunk {
    const TokenPlan *plan;
    unsigned handle;
    uint64_t weightBytes;
  };

  const Chunk &chunkFor(size_t remaining) const;
  std::span<const float> launch(const Chunk &chunk, std::span<const uint32_t> ids);
  void checkIds(std::span<const uint32_t> ids) const;

  std::shared_ptr<const Artifact> source;
  const Plan *chosenPlan = nullptr; // of the target that the device runs
  std::unique_ptr<Device> runner;
  MemoryNeed need;
  bool allLogits;
  uint32_t capacity = 0, used = 0;
  uint64_t weightBytes = 0;
  std::vector<Chunk> chunks; // largest first
};

/// Bytes of weights that one launch of `plan` reads.
uint64_t weightBytesOf(const TokenPlan &plan);

/// Floats from one row of logits to the next.
uint64_t logitsStride(const Plan &plan);

/// The position of the first infinity or NaN in `values`; nothing when all are finite.
std::optional<size_t> findNonFinite(std::span<const float> values);

} // namespace qlr
