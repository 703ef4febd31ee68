#include "runtime/format/Error.h"
#include "runtime/format/Plan.h"
#include "test/fuzz/Fuzz.h"

using namespace qlr;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  try {
    Plan plan = Plan::fromJson({reinterpret_cast<const char *>(data), size}, "fuzz");
    // What was accepted stays inside its arenas and survives a round trip.
    for (const TokenPlan &tokenPlan : plan.plans)
      for (const PlanStep &step : tokenPlan.steps) {
        if (step.kernel >= plan.kernels.size())
          __builtin_trap();
        for (const PlanArg &arg : step.args)
          if (arg.kind == PlanArg::Kind::Workspace && arg.value >= tokenPlan.workspaceBytes)
            __builtin_trap();
      }
    if (!(Plan::fromJson(plan.toJson(), "fuzz") == plan))
      __builtin_trap();
  } catch (const Error &) {
  }
  return 0;
}

std::vector<std::string> fuzzSeeds() {
  return {R"({"version":1,"target":"host","weights_present":true,"model":{"vocab":10,"hidden":8,"layers":1,"heads":2,)"
          R"("kv_heads":1,"head_dim":4,"max_positions":32,"cache":"bf16","tokenizer_vocab":9},"levels":["avx2"],)"
          R"("activations":"int8","form":"fused","weights_bytes":256,"cache_bytes_per_position":16,)"
          R"("state":{"bytes":4096,"position":0,"ids":64},"kernels":[{"name":"k0","stages":[{"symbol":"k0_s0",)"
          R"("items":3}]}],"plans":[{"tokens":1,"logits":"last","workspace_bytes":192,"logits_offset":128,"steps":)"
          R"([{"kernel":0,"args":[["w",0],["s",64],["t",64],["c",8]],"weight_bytes":96,"source":"x"}]}]})"};
}
