#include "runtime/exec/ModelText.h"

#include "runtime/format/Error.h"
#include "runtime/format/Json.h"

#include <algorithm>

namespace qlr {

Tokenizer loadTokenizer(const Artifact &artifact) {
  std::optional<std::string_view> text = artifact.tokenizerFile("tokenizer.json");
  if (!text)
    fail({.file = artifact.path(),
          .tensor = "tokenizer/tokenizer.json",
          .found = "no tokenizer",
          .expected = "one, to read and write text",
          .advice = "give token ids instead (--prompt-ids or --ids)"});
  return Tokenizer::parse(*text, artifact.path() + "/tokenizer.json");
}

GenerationConfig loadGenerationConfig(const Artifact &artifact) {
  if (std::optional<std::string_view> text = artifact.tokenizerFile("generation_config.json"))
    return GenerationConfig::parse(*text, artifact.path() + "/generation_config.json");
  return {};
}

std::optional<ChatTemplate> loadChatTemplate(const Artifact &artifact) {
  return ChatTemplate::parse(artifact.tokenizerFile("tokenizer_config.json"),
                             artifact.tokenizerFile("chat_template.jinja"), artifact.path());
}

std::vector<uint32_t> stopIds(const Artifact &artifact, const Tokenizer *tokenizer, bool chat) {
  std::vector<uint32_t> ids = loadGenerationConfig(artifact).eosIds;
  if (std::optional<std::string_view> text = artifact.tokenizerFile("config.json")) {
    nlohmann::json config = parseJson(*text, artifact.path() + "/config.json");
    if (config.is_object() && config.contains("eos_token_id")) {
      const nlohmann::json &eos = config["eos_token_id"];
      for (const nlohmann::json &id : eos.is_array() ? eos : nlohmann::json::array({eos}))
        if (id.is_number_unsigned())
          ids.push_back(id.get<uint32_t>());
    }
  }
  if (chat && tokenizer)
    for (const char *end : {"<|im_end|>", "<|endoftext|>"})
      if (std::optional<uint32_t> id = tokenizer->addedToken(end))
        ids.push_back(*id);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

} // namespace qlr
