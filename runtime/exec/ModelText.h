// What an artifact knows about text: its tokenizer, chat template and generation defaults.
#pragma once

#include "runtime/chat/ChatTemplate.h"
#include "runtime/format/Artifact.h"
#include "runtime/sampler/GenerationConfig.h"
#include "runtime/tokenizer/Tokenizer.h"

#include <optional>
#include <vector>

namespace qlr {

/// The tokenizer of an artifact; throws Error that tells what to do when there is none.
Tokenizer loadTokenizer(const Artifact &artifact);

/// The defaults of generation_config.json; greedy without one.
GenerationConfig loadGenerationConfig(const Artifact &artifact);

/// Nothing when the model has no chat template. Throws Error for one that is not known.
std::optional<ChatTemplate> loadChatTemplate(const Artifact &artifact);

/// Every id that ends a text: of generation_config.json, of config.json, and, in a chat, the end of a message.
std::vector<uint32_t> stopIds(const Artifact &artifact, const Tokenizer *tokenizer, bool chat);

} // namespace qlr
