#include "runtime/chat/ChatTemplate.h"
#include "test/unit/format/TestSupport.h"

#include <nlohmann/json.hpp>

using namespace qlr;
using namespace qlr::test;
using nlohmann::json;

namespace {

/// The template in tokenizer_config.json of Qwen2-7B-Instruct.
const std::string qwen2 =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou "
    "are "
    "a helpful assistant.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

std::optional<ChatTemplate> parse(const json &value) {
  return ChatTemplate::parse(json{{"chat_template", value}}.dump(), std::nullopt, "tokenizer_config.json");
}

TEST(Chat, Qwen2) {
  auto chat = parse(qwen2);
  ASSERT_TRUE(chat);
  EXPECT_EQ(chat->family(), "Qwen2");
  std::vector<ChatMessage> messages = {{"user", "Hi"}};
  EXPECT_EQ(chat->render(messages, true), "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
                                          "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  messages = {{"system", "S"}, {"user", "1"}, {"assistant", "2"}, {"user", "3"}};
  EXPECT_EQ(chat->render(messages, false), "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n1<|im_end|>\n"
                                           "<|im_start|>assistant\n2<|im_end|>\n<|im_start|>user\n3<|im_end|>\n");
  std::string grown;
  for (const ChatMessage &message : messages)
    grown += ChatTemplate::renderMessage(message);
  EXPECT_EQ(grown, chat->render(messages, false));
}

TEST(Chat, WhereTemplatesStand) {
  EXPECT_FALSE(ChatTemplate::parse("{}", std::nullopt, "f"));
  EXPECT_FALSE(ChatTemplate::parse(R"({"chat_template":null})", std::nullopt, "f"));
  EXPECT_FALSE(ChatTemplate::parse(std::nullopt, std::nullopt, "f"));
  EXPECT_TRUE(ChatTemplate::parse("{}", qwen2, "f"));
  EXPECT_TRUE(parse(json::array({{{"name", "default"}, {"template", qwen2}}})));
  EXPECT_THROW(parse(json::array({{{"name", "tool_use"}, {"template", qwen2}}})), Error);
  TempDir dir;
  EXPECT_FALSE(ChatTemplate::load(dir.path()));
  writeFile(dir / "chat_template.jinja", qwen2);
  EXPECT_TRUE(ChatTemplate::load(dir.path()));
  writeFile(dir / "chat_template.jinja", "<!DOCTYPE html>");
  expectContains(errorOf([&] { ChatTemplate::load(dir.path()); }), "HTML page");
}

TEST(Chat, OtherNewlinesAndOlderFamilies) {
  std::string escaped = qwen2;
  for (size_t at; (at = escaped.find('\n')) != std::string::npos;)
    escaped.replace(at, 1, "\\n");
  EXPECT_EQ(parse(escaped)->family(), "Qwen2");
  std::string older = qwen2;
  older.erase(older.find("assistant.<") + 9, 1);
  EXPECT_EQ(parse(older)->defaultSystem(), "You are a helpful assistant");
}

TEST(Chat, Refusals) {
  std::string other = qwen2;
  other.back() = ' ';
  std::string message = errorOf([&] { parse(other); });
  expectContains(message, "tokenizer_config.json: chat_template");
  expectContains(message, "--raw");
  auto chat = parse(qwen2);
  EXPECT_THROW(chat->render({}, true), Error);
  std::vector<ChatMessage> tool = {{"tool", "x"}};
  expectContains(errorOf([&] { chat->render(tool, true); }), "\"tool\"");
}

TEST(Chat, DemoModelHasNone) {
  std::string dir = std::string(QLR_SOURCE_DIR) + "/test/models/demo";
  EXPECT_FALSE(ChatTemplate::load(dir));
}

} // namespace
