#include "test/unit/cuda/CudaToy.h"

#include "runtime/format/Artifact.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace qlr::test {
namespace {

constexpr uint32_t stride = (cudaToyVocab + 15) / 16 * 16;

/// `append` puts the ids' rows into the cache and sums it up to each position; `head` writes logits.
constexpr const char *kernelSource = R"(
#define APPEND(M)                                                                                                      \
  void append##M(void *const *p, unsigned grid, unsigned threads) {                                                    \
    const float *table = p[0];                                                                                         \
    const int *position = p[1], *ids = p[2];                                                                           \
    float *cache = p[3], *sums = p[4];                                                                                 \
    for (int i = 0; i < M; ++i) {                                                                                      \
      cache[*position + i] = table[ids[i]];                                                                            \
      sums[i] = 0;                                                                                                     \
      for (int k = 0; k <= *position + i; ++k)                                                                         \
        sums[i] += cache[k];                                                                                           \
    }                                                                                                                  \
  }
#define HEAD(NAME, M, ROWS)                                                                                            \
  void NAME(void *const *p, unsigned grid, unsigned threads) {                                                         \
    const float *factor = p[0], *sums = p[1];                                                                          \
    float *logits = p[2];                                                                                              \
    for (int row = 0; row < ROWS; ++row)                                                                               \
      for (int j = 0; j < VOCAB; ++j)                                                                                  \
        logits[row * STRIDE + j] = j == (long)(sums[M - ROWS + row] * *factor) % VOCAB ? 4.0f : 0.0f;                  \
  }
APPEND(1) APPEND(8) APPEND(128)
HEAD(last1, 1, 1) HEAD(last8, 8, 1) HEAD(last128, 128, 1) HEAD(all8, 8, 8) HEAD(all128, 128, 128)
)";

Plan makePlan(const CudaToyOptions &options, uint64_t embeddingBytes, uint64_t factorOffset) {
  using K = PlanArg::Kind;
  Plan plan;
  plan.model = {.vocab = cudaToyVocab,
                .hidden = 16,
                .layers = 1,
                .heads = 1,
                .kvHeads = 1,
                .headDim = 16,
                .maxPositions = options.maxPositions,
                .cache = "f32",
                .tokenizerVocab = std::nullopt};
  plan.activations = "fp32";
  plan.cacheBytesPerPosition = 2 * 16 * 4;
  plan.weightsBytes = factorOffset + ArtifactWriter::arenaBytes(4);
  plan.regions = {{PlanRegion::Kind::Embedding, 0, ArtifactWriter::arenaBytes(embeddingBytes)}};
  auto addKernel = [&](const std::string &name, uint64_t items) {
    PlanKernel kernel;
    kernel.name = name;
    kernel.threads = 64;
    kernel.sharedBytes = 60000; // more than a kernel gets without asking
    kernel.items = items;
    plan.kernels.push_back(kernel);
    return static_cast<uint32_t>(plan.kernels.size() - 1);
  };
  for (uint32_t tokens : {1u, 8u, 128u}) {
    const std::string m = std::to_string(tokens);
    const uint32_t append = addKernel("append" + m, 1);
    for (bool all : {false, true}) {
      if (tokens == 1 && all)
        continue;
      const uint32_t head = addKernel((all ? "all" : "last") + m, 1000);
      TokenPlan &tokenPlan = plan.plans.emplace_back();
      tokenPlan.tokens = tokens;
      tokenPlan.allLogits = all;
      tokenPlan.logitsOffset = 512;
      tokenPlan.workspaceBytes = 512 + (all ? tokens : 1) * stride * 4;
      tokenPlan.steps.push_back({append,
                                 {{K::Weights, 0},
                                  {K::State, plan.state.position},
                                  {K::State, plan.state.ids},
                                  {K::Cache, 0},
                                  {K::Workspace, 0}},
                                 4,
                                 "append"});
      tokenPlan.steps.push_back(
          {head, {{K::Weights, factorOffset}, {K::Workspace, 0}, {K::Workspace, 512}}, 4, "head"});
    }
  }
  return plan;
}

std::string ptxOf(const PlanKernel &kernel, const std::string &target, const CudaToyOptions &options) {
  const bool append = kernel.name.starts_with("append");
  std::string text = ".version " + options.ptxVersion + "\n.target " + target + "\n.address_size 64\n.visible .entry " +
                     kernel.name + "(";
  for (int i = 0; i < (append ? 5 : 3); ++i)
    text += (i ? ", " : "") + std::string(".param .u64 .ptr p") + std::to_string(i);
  text += ")\n.maxntid 64\n{\n" + std::string(options.dependent ? "griddepcontrol.wait;\n" : "") + "ret;\n}\n";
  if (options.editPtx)
    options.editPtx(text);
  return text;
}

void compileKernels(const std::string &path) {
  writeFile(path + ".c", kernelSource);
  std::string command = std::string(QLR_C_COMPILER) +
                        " -shared -fPIC -O1 -nostdlib -DVOCAB=" + std::to_string(cudaToyVocab) +
                        " -DSTRIDE=" + std::to_string(stride) + " -o " + path + " " + path + ".c";
  if (std::system(command.c_str()) != 0)
    throw std::runtime_error("cannot compile the toy's kernels: " + command);
}

} // namespace

void writeCudaToy(const std::string &path, const CudaToyOptions &options) {
  compileKernels(path + ".so");
  std::vector<float> table(cudaToyVocab + options.embeddingPadding / 4);
  for (uint32_t id = 0; id < cudaToyVocab; ++id)
    table[id] = static_cast<float>(id);
  const float factor = cudaToyFactor;

  ArtifactWriter writer(path);
  writer.declareWeight("table", table.size() * 4);
  const uint64_t factorOffset = writer.declareWeight("factor", 4);
  std::vector<std::string> images;
  for (const std::string &target : options.targets) {
    Plan plan = makePlan(options, table.size() * 4, factorOffset);
    plan.target = target;
    std::string &image = images.emplace_back();
    for (const PlanKernel &kernel : plan.kernels)
      image += ptxOf(kernel, target, options) + '\0';
    if (options.edit)
      options.edit(plan);
    writer.declareKernels(target, image.size());
    writer.setPlan(plan);
  }
  writer.setProvenance({{"tool", "toy"}});
  writer.begin();
  writer.write(std::as_bytes(std::span(table)));
  writer.write(std::as_bytes(std::span(&factor, 1)));
  for (const std::string &image : images)
    writer.write(std::as_bytes(std::span(image)));
  writer.finish();
}

uint32_t cudaToyNext(const std::vector<uint32_t> &ids) {
  uint64_t sum = 0;
  for (uint32_t id : ids)
    sum += id;
  return static_cast<uint32_t>(sum * cudaToyFactor % cudaToyVocab);
}

std::string fakeEnvironment(const std::string &toy, const std::string &log, const std::string &more) {
  return "QLR_CUDA_DRIVER=" QLR_FAKE_DRIVER " QLR_FAKE_CUDA_KERNELS=" + toy + ".so QLR_FAKE_CUDA_LOG=" + log +
         " XDG_CACHE_HOME=" + log + ".cache " + more + " ";
}

} // namespace qlr::test
