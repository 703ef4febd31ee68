#include "runtime/format/Plan.h"
#include "runtime/format/Error.h"
#include "runtime/format/Json.h"

#include <algorithm>

namespace qlr {

using nlohmann::json;

namespace {

constexpr uint64_t maxBytes = 1ull << 48; // more than any machine has; products of such sizes still fit
constexpr size_t maxList = 1u << 20;

constexpr struct {
  PlanArg::Kind kind;
  const char *letter;
} argKinds[] = {{PlanArg::Kind::Weights, "w"},
                {PlanArg::Kind::Workspace, "s"},
                {PlanArg::Kind::State, "t"},
                {PlanArg::Kind::Cache, "c"}};

constexpr struct {
  PlanRegion::Kind kind;
  const char *name;
} regionKinds[] = {{PlanRegion::Kind::Embedding, "embedding"}, {PlanRegion::Kind::Head, "head"}};

PlanRegion parseRegion(const json &value, const std::string &file, const std::string &where) {
  if (value.is_array() && value.size() == 3 && value[1].is_number_unsigned() && value[2].is_number_unsigned())
    for (const auto &entry : regionKinds)
      if (value[0] == entry.name)
        return {entry.kind, value[1].get<uint64_t>(), value[2].get<uint64_t>()};
  fail({.file = file, .tensor = where, .found = shown(value), .expected = R"(a region such as ["head", 0, 128])"});
}

PlanArg parseArg(const json &value, const std::string &file, const std::string &where) {
  auto refuse = [&] {
    fail({.file = file, .tensor = where, .found = shown(value), .expected = R"(an argument such as ["w", 64])"});
  };
  if (!value.is_array() || value.size() != 2 || !value[0].is_string() || !value[1].is_number_unsigned())
    refuse();
  for (const auto &entry : argKinds)
    if (value[0] == entry.letter)
      return {entry.kind, value[1].get<uint64_t>()};
  refuse();
  return {};
}

PlanStep parseStep(const JsonObject &object) {
  PlanStep step;
  step.kernel = static_cast<uint32_t>(object.integer("kernel", 0, maxList));
  for (const json &arg : object.array("args", 1024))
    step.args.push_back(parseArg(arg, object.file(), object.path("args")));
  step.weightBytes = object.optionalInteger("weight_bytes", 0, maxBytes).value_or(0);
  step.source = object.string("source", "");
  return step;
}

PlanKernel parseKernel(const JsonObject &object) {
  PlanKernel kernel;
  kernel.name = object.string("name");
  size_t i = 0;
  for (const json &value : object.array("stages", 256)) {
    JsonObject stage(value, object.file(), object.path("stages") + "[" + std::to_string(i++) + "]");
    kernel.stages.push_back({stage.string("symbol"), stage.integer("items", 1, 1ull << 40)});
  }
  kernel.threads = static_cast<uint32_t>(object.optionalInteger("threads", 0, 1024).value_or(0));
  kernel.sharedBytes = object.optionalInteger("shared_bytes", 0, 1u << 20).value_or(0);
  kernel.items = object.optionalInteger("items", 0, 1ull << 40).value_or(0);
  return kernel;
}

TokenPlan parseTokenPlan(const JsonObject &object) {
  TokenPlan plan;
  plan.tokens = static_cast<uint32_t>(object.integer("tokens", 1, Plan::maxTokens));
  std::string logits = object.string("logits");
  if (logits != "last" && logits != "all")
    object.refuse("logits", object.find("logits"), "\"last\" or \"all\"");
  plan.allLogits = logits == "all";
  plan.workspaceBytes = object.integer("workspace_bytes", 0, maxBytes);
  plan.logitsOffset = object.integer("logits_offset", 0, maxBytes);
  size_t i = 0;
  for (const json &step : object.array("steps", maxList))
    plan.steps.push_back(
        parseStep(JsonObject(step, object.file(), object.path("steps") + "[" + std::to_string(i++) + "]")));
  return plan;
}

PlanModel parseModel(const JsonObject &object) {
  auto count = [&](const char *key, uint64_t high) { return static_cast<uint32_t>(object.integer(key, 1, high)); };
  PlanModel model;
  model.vocab = count("vocab", 1u << 24);
  model.hidden = count("hidden", 1u << 20);
  model.layers = count("layers", 4096);
  model.heads = count("heads", 4096);
  model.kvHeads = count("kv_heads", 4096);
  model.headDim = count("head_dim", 4096);
  model.maxPositions = count("max_positions", 1u << 26);
  return model;
}

} // namespace

const TokenPlan *Plan::find(uint32_t tokens, bool allLogits) const {
  for (const TokenPlan &plan : plans)
    // One token's last logits are all its logits.
    if (plan.tokens == tokens && (plan.allLogits == allLogits || tokens == 1))
      return &plan;
  return nullptr;
}

std::string Plan::toJson() const {
  json kernelList = json::array(), planList = json::array();
  for (const PlanKernel &kernel : kernels) {
    json stages = json::array();
    for (const PlanStage &stage : kernel.stages)
      stages.push_back({{"symbol", stage.symbol}, {"items", stage.items}});
    json entry = {{"name", kernel.name}, {"stages", stages}};
    if (kernel.threads)
      entry.update({{"threads", kernel.threads}, {"shared_bytes", kernel.sharedBytes}, {"items", kernel.items}});
    kernelList.push_back(std::move(entry));
  }
  for (const TokenPlan &plan : plans) {
    json steps = json::array();
    for (const PlanStep &step : plan.steps) {
      json args = json::array();
      for (const PlanArg &arg : step.args)
        for (const auto &entry : argKinds)
          if (entry.kind == arg.kind)
            args.push_back(json::array({entry.letter, arg.value}));
      steps.push_back(
          {{"kernel", step.kernel}, {"args", args}, {"weight_bytes", step.weightBytes}, {"source", step.source}});
    }
    planList.push_back({{"tokens", plan.tokens},
                        {"logits", plan.allLogits ? "all" : "last"},
                        {"workspace_bytes", plan.workspaceBytes},
                        {"logits_offset", plan.logitsOffset},
                        {"steps", steps}});
  }
  json modelJson = {{"vocab", model.vocab},
                    {"hidden", model.hidden},
                    {"layers", model.layers},
                    {"heads", model.heads},
                    {"kv_heads", model.kvHeads},
                    {"head_dim", model.headDim},
                    {"max_positions", model.maxPositions},
                    {"cache", model.cache}};
  if (model.tokenizerVocab)
    modelJson["tokenizer_vocab"] = *model.tokenizerVocab;
  json regionList = json::array();
  for (const PlanRegion &region : regions)
    for (const auto &entry : regionKinds)
      if (entry.kind == region.kind)
        regionList.push_back(json::array({entry.name, region.begin, region.end}));
  json root = {{"version", version},
               {"target", target},
               {"weights_present", weightsPresent},
               {"model", modelJson},
               {"levels", levels},
               {"activations", activations},
               {"form", form},
               {"weights_bytes", weightsBytes},
               {"regions", regionList},
               {"cache_bytes_per_position", cacheBytesPerPosition},
               {"state", {{"bytes", state.bytes}, {"position", state.position}, {"ids", state.ids}}},
               {"kernels", kernelList},
               {"plans", planList}};
  return root.dump();
}

Plan Plan::fromJson(std::string_view text, const std::string &file) {
  json root = parseJson(text, file);
  JsonObject object(root, file, "plan");
  Plan plan;
  plan.version = static_cast<uint32_t>(object.integer("version", 0, 1u << 30));
  if (plan.version != currentVersion)
    object.refuse("version", object.find("version"), std::to_string(currentVersion),
                  "compile the model again with this version of qlr");
  plan.target = object.string("target");
  plan.weightsPresent = object.boolean("weights_present", true);
  JsonObject model = object.object("model");
  plan.model = parseModel(model);
  plan.model.cache = model.string("cache");
  if (auto vocab = model.optionalInteger("tokenizer_vocab", 1, plan.model.vocab))
    plan.model.tokenizerVocab = static_cast<uint32_t>(*vocab);
  if (object.find("levels"))
    for (const json &level : object.array("levels", 64)) {
      if (!level.is_string())
        object.refuse("levels", &level, "names of CPU levels");
      plan.levels.push_back(level.get<std::string>());
    }
  plan.activations = object.string("activations", "");
  plan.form = object.string("form", "");
  plan.weightsBytes = object.integer("weights_bytes", 0, maxBytes);
  if (object.find("regions"))
    for (const json &region : object.array("regions", 64))
      plan.regions.push_back(parseRegion(region, file, object.path("regions")));
  plan.cacheBytesPerPosition = object.integer("cache_bytes_per_position", 0, 1ull << 32);
  JsonObject state = object.object("state");
  plan.state = {state.integer("bytes", 1, 1u << 30), state.integer("position", 0, 1u << 30),
                state.integer("ids", 0, 1u << 30)};
  size_t i = 0;
  for (const json &kernel : object.array("kernels", maxList))
    plan.kernels.push_back(parseKernel(JsonObject(kernel, file, "plan.kernels[" + std::to_string(i++) + "]")));
  i = 0;
  for (const json &tokenPlan : object.array("plans", 64))
    plan.plans.push_back(parseTokenPlan(JsonObject(tokenPlan, file, "plan.plans[" + std::to_string(i++) + "]")));
  plan.validate(file);
  return plan;
}

void Plan::validate(const std::string &file) const {
  auto refuse = [&](const std::string &where, const std::string &found, const std::string &expected) {
    fail({.file = file,
          .tensor = "plan." + where,
          .found = found,
          .expected = expected,
          .advice = "the artifact is damaged: compile the model again"});
  };
  if (model.cache != "bf16" && model.cache != "f32")
    refuse("model.cache", model.cache, "bf16 or f32");
  if (model.kvHeads == 0 || model.heads % model.kvHeads != 0)
    refuse("model.kv_heads", std::to_string(model.kvHeads), "a divisor of " + std::to_string(model.heads));
  uint64_t cacheBytes = 2ull * model.layers * model.kvHeads * model.headDim * (model.cache == "f32" ? 4 : 2);
  if (cacheBytesPerPosition != cacheBytes)
    refuse("cache_bytes_per_position", std::to_string(cacheBytesPerPosition), std::to_string(cacheBytes));
  if (state.position % 4 != 0 || state.position + 4 > state.bytes)
    refuse("state.position", std::to_string(state.position), "an aligned offset inside the state");
  if (state.ids % 4 != 0 || state.ids + 4ull * maxTokens > state.bytes)
    refuse("state.ids", std::to_string(state.ids), "an aligned offset with room for 128 ids");

  uint64_t regionsEnd = 0;
  for (const PlanRegion &region : regions) {
    if (region.begin < regionsEnd || region.begin >= region.end || region.end > weightsBytes ||
        region.begin % alignment != 0 || region.end % alignment != 0)
      refuse("regions", std::to_string(region.begin) + " to " + std::to_string(region.end),
             "aligned offsets after " + std::to_string(regionsEnd) + " in an arena of " + std::to_string(weightsBytes));
    regionsEnd = region.end;
  }
  for (size_t p = 0; p < plans.size(); ++p) {
    const TokenPlan &plan = plans[p];
    std::string where = "plans[" + std::to_string(p) + "]";
    uint64_t logits = 4ull * model.vocab * (plan.allLogits ? plan.tokens : 1);
    if (plan.logitsOffset % 4 != 0 || plan.logitsOffset > plan.workspaceBytes ||
        plan.workspaceBytes - plan.logitsOffset < logits)
      refuse(where + ".logits_offset", std::to_string(plan.logitsOffset),
             "room for " + std::to_string(logits) + " bytes in a workspace of " + std::to_string(plan.workspaceBytes));
    for (size_t s = 0; s < plan.steps.size(); ++s) {
      const PlanStep &step = plan.steps[s];
      std::string at = where + ".steps[" + std::to_string(s) + "]";
      if (step.kernel >= kernels.size())
        refuse(at + ".kernel", std::to_string(step.kernel), "below " + std::to_string(kernels.size()));
      for (const PlanArg &arg : step.args) {
        uint64_t limit = arg.kind == PlanArg::Kind::Weights     ? weightsBytes
                         : arg.kind == PlanArg::Kind::Workspace ? plan.workspaceBytes
                         : arg.kind == PlanArg::Kind::State     ? state.bytes
                                                                : cacheBytesPerPosition + 1;
        if (arg.value >= limit)
          refuse(at + ".args", "offset " + std::to_string(arg.value), "below " + std::to_string(limit));
      }
    }
  }
}

} // namespace qlr
