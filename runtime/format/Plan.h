//===- Plan.h - what an artifact executes, as data ------------------------===//
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qlr {

/// One pointer a kernel gets.
struct PlanArg {
  enum class Kind {
    Weights,   // "w": offset in the weights arena
    Workspace, // "s": offset in the workspace
    State,     // "t": offset in the state arena
    Cache,     // "c": value * positions of the context
  };
  Kind kind = Kind::Workspace;
  uint64_t value = 0;

  bool operator==(const PlanArg &) const = default;
};

/// One launch.
struct PlanStep {
  uint32_t kernel = 0; // index in Plan::kernels
  std::vector<PlanArg> args;
  uint64_t weightBytes = 0; // bytes of weights it reads
  std::string source;       // what of the model it computes

  bool operator==(const PlanStep &) const = default;
};

/// Part of a kernel between two barriers: `symbol` is called for ranges of 0 .. items-1.
struct PlanStage {
  std::string symbol;
  uint64_t items = 0;

  bool operator==(const PlanStage &) const = default;
};

/// On the host a kernel is its stages. On a GPU it is one function of that name, launched in one dimension with any
/// number of blocks: blocks claim the items.
struct PlanKernel {
  std::string name;
  std::vector<PlanStage> stages;
  uint32_t threads = 0;     // of a block; 0 on the host
  uint64_t sharedBytes = 0; // dynamic shared memory of a block
  uint64_t items = 0;       // more blocks than this would find nothing to do

  bool operator==(const PlanKernel &) const = default;
};

/// The launches that take a fixed number of tokens through the model.
struct TokenPlan {
  uint32_t tokens = 0;
  bool allLogits = false; // else those of the last position
  uint64_t workspaceBytes = 0;
  uint64_t logitsOffset = 0; // in the workspace: f32 [1 or tokens, vocab]
  std::vector<PlanStep> steps;

  bool operator==(const TokenPlan &) const = default;
};

struct PlanModel {
  uint32_t vocab = 0, hidden = 0, layers = 0, heads = 0, kvHeads = 0, headDim = 0, maxPositions = 0;
  std::string cache = "bf16";             // or "f32"
  std::optional<uint32_t> tokenizerVocab; // ids from here on are padding of the vocabulary

  bool operator==(const PlanModel &) const = default;
};

/// State arena: i32 position (tokens already in the cache) at `position`, i32 ids at `ids`.
struct PlanState {
  uint64_t bytes = 4096, position = 0, ids = 64;

  bool operator==(const PlanState &) const = default;
};

/// Part of the weights arena that need not lie in the memory of a device that has its own: the device can read it in
/// the host's memory instead. It begins and ends between tensors.
struct PlanRegion {
  enum class Kind {
    Embedding, // "embedding": one row for each token
    Head,      // "head": read whole by a launch; with tied embeddings the table that is both
  };
  Kind kind = Kind::Embedding;
  uint64_t begin = 0, end = 0;

  uint64_t bytes() const { return end - begin; }
  bool operator==(const PlanRegion &) const = default;
};

struct Plan {
  static constexpr uint32_t currentVersion = 1;
  static constexpr uint64_t alignment = 64;
  /// Most tokens of one TokenPlan.
  static constexpr uint32_t maxTokens = 128;

  uint32_t version = currentVersion;
  std::string target = "host";
  bool weightsPresent = true;
  PlanModel model;
  std::vector<std::string> levels; // CPU levels every kernel exists for
  std::string activations;         // shown by eval
  std::string form = "fused";
  uint64_t weightsBytes = 0;
  std::vector<PlanRegion> regions; // by offset, disjoint
  uint64_t cacheBytesPerPosition = 0;
  PlanState state;
  std::vector<PlanKernel> kernels;
  std::vector<TokenPlan> plans;

  bool operator==(const Plan &) const = default;

  /// Null when there is no plan for so many tokens.
  const TokenPlan *find(uint32_t tokens, bool allLogits) const;

  /// The text of `qlr.plan`.
  std::string toJson() const;
  /// Parses and validates; `file` stands in messages.
  static Plan fromJson(std::string_view text, const std::string &file);
  /// Throws Error when an index, an offset or a size cannot be right.
  void validate(const std::string &file) const;
};

} // namespace qlr
