#include "runtime/chat/ChatTemplate.h"
#include "runtime/format/Error.h"
#include "runtime/format/Hash.h"
#include "runtime/format/Json.h"
#include "runtime/format/MappedFile.h"

namespace qlr {

namespace {

constexpr const char *helpful = "You are a helpful assistant.";
constexpr const char *qwen = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";

/// The one-line template of Qwen1.5 and Qwen2. Jinja reads `\n` in a string and a line feed alike; files have either.
std::string shortTemplate(const std::string &system, const std::string &newline) {
  return "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system" +
         newline + system + "<|im_end|>" + newline + "' }}{% endif %}{{'<|im_start|>' + message['role'] + '" + newline +
         "' + message['content'] + '<|im_end|>' + '" + newline +
         "'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant" + newline + "' }}{% endif %}";
}

/// The templates with tools of Qwen2.5, known by size and hash.
constexpr struct {
  size_t size;
  const char *hash;
  const char *name;
  const char *system;
} longTemplates[] = {
    {2507, "7962cb19317e326b", "Qwen2.5-Instruct", qwen},
    {2427, "0cc9eb570367cfd4", "Qwen2.5", helpful},
};

struct Known {
  std::string name, system;
};

std::optional<Known> recognize(std::string_view text) {
  for (const auto &entry : longTemplates)
    if (text.size() == entry.size && xxh64Hex(std::as_bytes(std::span(text))) == entry.hash)
      return Known{entry.name, entry.system};
  for (const char *newline : {"\n", "\\n"}) {
    if (text == shortTemplate(helpful, newline))
      return Known{"Qwen2", helpful};
    if (text == shortTemplate("You are a helpful assistant", newline))
      return Known{"Qwen1.5", "You are a helpful assistant"};
  }
  return std::nullopt;
}

/// `chat_template` of tokenizer_config.json: a text, or a list of named ones of which "default" is meant.
std::optional<std::string> configTemplate(std::string_view config, const std::string &path) {
  nlohmann::json root = parseJson(config, path);
  JsonObject object(root, path);
  const nlohmann::json *value = object.find("chat_template");
  if (!value)
    return std::nullopt;
  if (value->is_array()) {
    for (const nlohmann::json &entry : *value) {
      JsonObject named(entry, path, "chat_template");
      if (named.string("name") == "default")
        return named.string("template");
    }
    object.refuse("chat_template", value, "one that is named default");
  }
  return object.string("chat_template");
}

} // namespace

std::optional<ChatTemplate> ChatTemplate::load(const std::string &dir) {
  std::string configPath = joinPath(dir, "tokenizer_config.json"), templatePath = joinPath(dir, "chat_template.jinja");
  MappedFile config, file;
  std::optional<std::string_view> configText, fileText;
  if (fileExists(configPath)) {
    config = MappedFile::open(configPath);
    refuseImpostor(config.text(), configPath);
    configText = config.text();
  }
  if (fileExists(templatePath)) {
    file = MappedFile::open(templatePath);
    refuseImpostor(file.text(), templatePath);
    fileText = file.text();
  }
  return parse(configText, fileText, fileText ? templatePath : configPath);
}

std::optional<ChatTemplate> ChatTemplate::parse(std::optional<std::string_view> tokenizerConfig,
                                                std::optional<std::string_view> templateFile, const std::string &path) {
  std::optional<std::string> text;
  if (templateFile)
    text = std::string(*templateFile);
  else if (tokenizerConfig)
    text = configTemplate(*tokenizerConfig, path);
  if (!text)
    return std::nullopt;
  auto known = recognize(*text);
  if (!known)
    fail({.file = path,
          .tensor = "chat_template",
          .found = "an unknown template (" + std::to_string(text->size()) + " bytes, hash " +
                   xxh64Hex(std::as_bytes(std::span(*text))) + ")",
          .expected = "the template of Qwen1.5, Qwen2 or Qwen2.5, byte for byte",
          .advice = "use --raw and write the prompt in the model's own format"});
  ChatTemplate result;
  result.name = known->name;
  result.system = known->system;
  return result;
}

std::string ChatTemplate::renderMessage(const ChatMessage &message) {
  if (message.role != "system" && message.role != "user" && message.role != "assistant")
    fail({.found = "chat role \"" + message.role.substr(0, 40) + "\"", .expected = "system, user or assistant"});
  return "<|im_start|>" + message.role + "\n" + message.content + "<|im_end|>\n";
}

std::string ChatTemplate::render(std::span<const ChatMessage> messages, bool addGenerationPrompt) const {
  if (messages.empty())
    fail({.found = "a conversation without messages", .expected = "at least one"});
  std::string text;
  if (messages.front().role != "system")
    text = renderMessage({"system", system});
  for (const ChatMessage &message : messages)
    text += renderMessage(message);
  if (addGenerationPrompt)
    text += generationPrompt();
  return text;
}

} // namespace qlr
