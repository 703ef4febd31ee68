#include "runtime/sampler/GenerationConfig.h"
#include "runtime/format/Json.h"
#include "runtime/format/MappedFile.h"

namespace qlr {

GenerationConfig GenerationConfig::load(const std::string &dir) {
  std::string path = joinPath(dir, "generation_config.json");
  if (!fileExists(path))
    return {};
  MappedFile file = MappedFile::open(path);
  return parse(file.text(), path);
}

GenerationConfig GenerationConfig::parse(std::string_view text, const std::string &path) {
  refuseImpostor(text, path);
  nlohmann::json root = parseJson(text, path);
  JsonObject object(root, path);
  GenerationConfig result;
  SamplingOptions &sampling = result.sampling;
  sampling.repetitionPenalty = object.optionalNumber("repetition_penalty", 1e-3, 1e3).value_or(1);
  // The defaults of the keys are those of Hugging Face, where `do_sample` false means greedy whatever the others say.
  if (object.boolean("do_sample", false)) {
    sampling.temperature = object.optionalNumber("temperature", 0, 1e3).value_or(1);
    sampling.topK = static_cast<uint32_t>(object.optionalInteger("top_k", 0, 1u << 24).value_or(50));
    sampling.topP = object.optionalNumber("top_p", 0, 1).value_or(1);
    sampling.minP = object.optionalNumber("min_p", 0, 1).value_or(0);
  }
  constexpr uint64_t maxId = (1u << 24) - 1;
  if (const auto *eos = object.find("eos_token_id")) {
    if (eos->is_array()) {
      for (const auto &id : object.array("eos_token_id", 1024)) {
        if (!id.is_number_unsigned() || id.get<uint64_t>() > maxId)
          object.refuse("eos_token_id", &id, "a token id");
        result.eosIds.push_back(id.get<uint32_t>());
      }
    } else {
      result.eosIds.push_back(static_cast<uint32_t>(object.integer("eos_token_id", 0, maxId)));
    }
  }
  return result;
}

} // namespace qlr
