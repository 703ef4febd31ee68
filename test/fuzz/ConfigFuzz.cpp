#include "runtime/format/Error.h"
#include "runtime/format/QuantConfig.h"
#include "runtime/sampler/GenerationConfig.h"
#include "test/fuzz/Fuzz.h"

using namespace qlr;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  try {
    ModelConfig config = ModelConfig::parse(text, "fuzz");
    // The product of all sizes must be one that later arithmetic can hold.
    if (config.headDim == 0 || config.heads % config.kvHeads != 0 || config.layers > 4096)
      __builtin_trap();
    (void)QuantConfig::fromConfig(config);
  } catch (const Error &) {
  }
  try {
    (void)GenerationConfig::parse(text, "fuzz");
  } catch (const Error &) {
  }
  return 0;
}

std::vector<std::string> fuzzSeeds() {
  const std::string common = R"({"architectures":["Qwen2ForCausalLM"],"model_type":"qwen2","hidden_act":"silu",)"
                             R"("bos_token_id":1,"eos_token_id":[2,3],"hidden_size":64,"intermediate_size":172,)"
                             R"("num_hidden_layers":1,"num_attention_heads":8,"num_key_value_heads":4,)"
                             R"("max_position_embeddings":512,"rms_norm_eps":1e-05,"vocab_size":512,)"
                             R"("tie_word_embeddings":true,)";
  return {common + R"("rope_theta":10000.0,"torch_dtype":"float32","use_sliding_window":false})",
          common + R"("rope_parameters":{"rope_theta":1000000.0,"rope_type":"default"},"dtype":"bfloat16",)"
                   R"("layer_types":["full_attention"],"sliding_window":null})",
          common + R"("rope_theta":10000.0,"quantization_config":{"quant_method":"qlr","version":1,"seed":1,)"
                   R"("rotation":128,"modules":{"model.layers.0.mlp.up_proj":{"codec":"trellis2","shape":[172,64],)"
                   R"("rank":4,"factors":"int4","rotation":64,"input":"model.layers.0.mlp_in","correlation":0.9}},)"
                   R"("tensors":{"a":"0123456789abcdef"}}})",
          R"({"do_sample":true,"eos_token_id":[1,2],"temperature":0.7,"top_k":20,"top_p":0.8})"};
}
