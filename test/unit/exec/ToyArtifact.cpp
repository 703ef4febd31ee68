#include "test/unit/exec/ToyArtifact.h"

#include "runtime/format/Artifact.h"
#include "runtime/format/Error.h"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

namespace qlr::test {
namespace {

/// Kernels of the ABI for M tokens and R rows of logits: `append` copies each id's weight into the cache and sums the
/// cache up to each position (serially); `head` writes the logits, item by item.
constexpr const char *kernelSource = R"(
#define NAN_ (0.0f / zero)
static float zero = 0.0f;
#define COPY(NAME, M)                                                                                                  \
  void NAME(void *const *args, long begin, long end) {                                                                 \
    const float *table = args[0];                                                                                      \
    const int *position = args[1], *ids = args[2];                                                                     \
    float *cache = args[3];                                                                                            \
    for (long i = begin; i < end; ++i)                                                                                 \
      cache[*position + i] = table[ids[i]];                                                                            \
  }
#define SUM(NAME, M)                                                                                                   \
  void NAME(void *const *args, long begin, long end) {                                                                 \
    const int *position = args[1];                                                                                     \
    const float *cache = args[3];                                                                                      \
    float *sums = args[4];                                                                                             \
    for (int i = 0; i < M; ++i) {                                                                                      \
      sums[i] = 0;                                                                                                     \
      for (int p = 0; p <= *position + i; ++p)                                                                         \
        sums[i] += cache[p];                                                                                           \
    }                                                                                                                  \
  }
#define HEAD(NAME, M, ROWS)                                                                                            \
  void NAME(void *const *args, long begin, long end) {                                                                 \
    const float *sums = args[0];                                                                                       \
    float *logits = args[1];                                                                                           \
    for (long row = 0; row < ROWS; ++row) {                                                                            \
      float sum = sums[M - ROWS + row];                                                                                \
      for (long j = begin; j < end; ++j)                                                                               \
        logits[row * STRIDE + j] = sum != sum ? sum : j == (long)sum % VOCAB ? LOGIT : 0.0f;                           \
    }                                                                                                                  \
  }
#define LEVEL(L)                                                                                                       \
  COPY(copy1_##L, 1) COPY(copy8_##L, 8) COPY(copy128_##L, 128)                                                         \
  SUM(sum1_##L, 1) SUM(sum8_##L, 8) SUM(sum128_##L, 128)                                                               \
  HEAD(last1_##L, 1, 1) HEAD(last8_##L, 8, 1) HEAD(last128_##L, 128, 1)                                                \
  HEAD(all1_##L, 1, 1) HEAD(all8_##L, 8, 8) HEAD(all128_##L, 128, 128)
LEVEL(avx2)
LEVEL(avx512)
)";

std::string compileKernels(uint32_t vocab, int logit) {
  TemporaryDirectory dir;
  std::string stride = std::to_string((vocab + 15) / 16 * 16);
  writeFile(dir.file("k.c"), kernelSource);
  std::string command = std::string(QLR_C_COMPILER) + " -shared -fPIC -O1 -nostdlib -DVOCAB=" + std::to_string(vocab) +
                        " -DLOGIT=" + std::to_string(logit) + " -DSTRIDE=" + stride + " -o " + dir.file("k.so") + " " +
                        dir.file("k.c");
  if (std::system(command.c_str()) != 0)
    throw std::runtime_error("cannot compile the toy's kernels: " + command);
  return readFile(dir.file("k.so"));
}

Plan toyPlan(const ToyOptions &options) {
  Plan plan;
  plan.weightsPresent = options.weights;
  plan.model.vocab = options.vocab;
  plan.model.hidden = 16;
  plan.model.layers = plan.model.heads = plan.model.kvHeads = 1;
  plan.model.headDim = 16;
  plan.model.maxPositions = options.maxPositions;
  plan.model.cache = "f32";
  plan.levels = options.levels;
  plan.activations = "fp32";
  plan.cacheBytesPerPosition = 2 * 16 * 4; // of which the kernels use the first 4
  const uint64_t stride = (options.vocab + 15) / 16 * 16;
  for (uint32_t tokens : {1u, 8u, 128u}) {
    std::string m = std::to_string(tokens);
    uint32_t append = plan.kernels.size();
    plan.kernels.push_back({"append" + m, {{"copy" + m, tokens}, {"sum" + m, 1}}});
    for (bool all : {false, true}) {
      if (tokens == 1 && all)
        continue;
      uint32_t head = plan.kernels.size();
      plan.kernels.push_back({(all ? "all" : "last") + m, {{(all ? "all" : "last") + m, options.vocab}}});
      TokenPlan &tokenPlan = plan.plans.emplace_back();
      tokenPlan.tokens = tokens;
      tokenPlan.allLogits = all;
      tokenPlan.logitsOffset = 512;
      tokenPlan.workspaceBytes = 512 + (all ? tokens : 1) * stride * 4;
      using K = PlanArg::Kind;
      tokenPlan.steps.push_back({append,
                                 {{K::Weights, 0},
                                  {K::State, plan.state.position},
                                  {K::State, plan.state.ids},
                                  {K::Cache, 0},
                                  {K::Workspace, 0}},
                                 4,
                                 "append"});
      tokenPlan.steps.push_back({head, {{K::Workspace, 0}, {K::Workspace, 512}}, options.vocab * 4, "head"});
    }
  }
  return plan;
}

} // namespace

void writeToyArtifact(const std::string &path, const ToyOptions &options) {
  std::string kernels = options.kernels ? compileKernels(options.vocab, options.logit) : "";
  std::vector<float> table(options.vocab);
  for (uint32_t id = 0; id < options.vocab; ++id)
    table[id] = static_cast<int32_t>(id) == options.poison ? std::numeric_limits<float>::quiet_NaN() : id;
  Plan plan = toyPlan(options);
  std::vector<std::pair<std::string, std::string>> files;
  if (!options.tokenizerDir.empty())
    for (const char *name : {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json"})
      if (std::filesystem::exists(options.tokenizerDir + "/" + name))
        files.emplace_back(name, readFile(options.tokenizerDir + "/" + name));

  ArtifactWriter writer(path);
  plan.weightsBytes = ArtifactWriter::arenaBytes(table.size() * 4);
  if (options.weights)
    writer.declareWeight("table", table.size() * 4);
  if (options.kernels)
    writer.declareKernels("host", kernels.size());
  for (const auto &[name, content] : files)
    writer.declareTokenizerFile(name, content.size());
  if (options.edit)
    options.edit(plan);
  writer.setPlan(plan);
  writer.setProvenance({{"tool", "toy"}});
  writer.begin();
  if (options.weights)
    writer.write(std::as_bytes(std::span(table)));
  if (options.kernels)
    writer.write(std::as_bytes(std::span(kernels)));
  for (const auto &[name, content] : files)
    writer.write(std::as_bytes(std::span(content)));
  writer.finish();
}

uint32_t toyNext(const std::vector<uint32_t> &ids, uint32_t vocab) {
  int64_t sum = 0;
  for (uint32_t id : ids)
    sum += id;
  return static_cast<uint32_t>(sum % vocab);
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "qlr-test-XXXXXX").string();
  if (!mkdtemp(pattern.data()))
    throw std::runtime_error("cannot make a temporary directory");
  path = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

Outcome runCommand(const std::string &command) {
  TemporaryDirectory dir;
  int status = std::system(("( " + command + "\n) >" + dir.file("out") + " 2>" + dir.file("err")).c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128, readFile(dir.file("out")), readFile(dir.file("err"))};
}

std::string readFile(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream content;
  content << in.rdbuf();
  return content.str();
}

void writeFile(const std::string &path, const std::string &content) {
  std::ofstream(path, std::ios::binary) << content;
}

std::string messageOf(const std::function<void()> &body) {
  try {
    body();
  } catch (const Error &error) {
    return error.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return "";
}

} // namespace qlr::test
