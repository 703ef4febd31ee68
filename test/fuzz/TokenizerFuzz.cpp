#include "runtime/chat/ChatTemplate.h"
#include "runtime/format/Error.h"
#include "runtime/tokenizer/Tokenizer.h"
#include "test/fuzz/Fuzz.h"

using namespace qlr;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  try {
    Tokenizer tokenizer = Tokenizer::parse(text, "fuzz");
    // What loads must work.
    auto ids = tokenizer.encode("Hello <|end|> 123 e\xcc\x81 aaa\n");
    (void)tokenizer.decode(ids);
  } catch (const Error &) {
  }
  try {
    (void)ChatTemplate::parse(text, std::nullopt, "fuzz");
  } catch (const Error &) {
  }
  return 0;
}

std::vector<std::string> fuzzSeeds() {
  std::string vocabulary;
  for (unsigned b = 0; b < 256; ++b) {
    std::string token;
    appendUtf8(token, byteAlphabet()[b]);
    if (token == "\"" || token == "\\")
      token.insert(0, "\\");
    vocabulary += (b ? ",\"" : "\"") + token + "\":" + std::to_string(b);
  }
  // What is worth mutating comes first, the 256 bytes come last.
  auto file = [&](const std::string &merges) {
    return R"json({"added_tokens":[{"id":258,"content":"<|end|>","single_word":false,"lstrip":false,"rstrip":false,
"normalized":false,"special":true}],"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Sequence","pretokenizers":[
{"type":"Split","pattern":{"Regex":"\\p{L}+|\\s+(?!\\S)"},"behavior":"Isolated","invert":false},
{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]},"post_processor":null,
"decoder":{"type":"ByteLevel"},"model":{"type":"BPE","merges":)json" +
           merges + R"json(,"vocab":{"ab":256,"aa":257,)json" + vocabulary + "}}}";
  };
  return {file(R"(["a b","a a"])"), file(R"([["a","b"],["a","a"]])"), R"({"chat_template":"x","eos_token":"y"})"};
}
