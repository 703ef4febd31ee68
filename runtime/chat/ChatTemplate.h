//===- ChatTemplate.h - ChatML of the Qwen2 family ------------------------===//
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace qlr {

struct ChatMessage {
  std::string role; // "system", "user" or "assistant"
  std::string content;
};

/// The chat templates of Qwen1.5, Qwen2 and Qwen2.5 render messages without tools alike, but for the system text they
/// add when none is given. No template engine: a template that is not byte for byte a known one is refused by name.
class ChatTemplate {
public:
  /// From DIR/chat_template.jinja or `chat_template` of DIR/tokenizer_config.json; nothing when there is neither.
  static std::optional<ChatTemplate> load(const std::string &dir);
  /// From the texts of these files, either of which may be absent.
  static std::optional<ChatTemplate> parse(std::optional<std::string_view> tokenizerConfig,
                                           std::optional<std::string_view> templateFile, const std::string &path);

  /// All of a conversation; the default system text comes first when the first message is no system message. Throws
  /// Error for an empty conversation and for roles other than the three.
  std::string render(std::span<const ChatMessage> messages, bool addGenerationPrompt) const;
  /// One message of it, so that a conversation can grow: render() is the concatenation.
  static std::string renderMessage(const ChatMessage &message);
  static std::string_view generationPrompt() { return "<|im_start|>assistant\n"; }

  const std::string &defaultSystem() const { return system; }
  /// The family the template is of, for messages.
  const std::string &family() const { return name; }

private:
  std::string name, system;
};

} // namespace qlr
