// Tokenizers made by the test, in both layouts.
#include "runtime/tokenizer/Tokenizer.h"
#include "test/unit/format/TestSupport.h"
#include "test/unit/tokenizer/SmallTokenizer.h"

#include <chrono>
#include <functional>

using namespace qlr;
using namespace qlr::test;
using nlohmann::json;

namespace {

using Merges = std::vector<std::pair<std::string, std::string>>;
using Ids = std::vector<uint32_t>;

const Merges someMerges = {{"a", "b"}, {"ab", "c"}, {"b", "c"}, {" ", "a"}, {"\xc3", "\xa9"}, {"a", "a"}, {"aa", "aa"}};
// ids:                    256          257         258         259         260               261         262

Tokenizer make(const Merges &merges = someMerges, MergeLayout layout = MergeLayout::Pairs) {
  return Tokenizer::parse(smallTokenizer(merges, layout).dump(), "t.json");
}

TEST(Tokenizer, MergesByRankInBothLayouts) {
  for (MergeLayout layout : {MergeLayout::Strings, MergeLayout::Pairs}) {
    Tokenizer tokenizer = make(someMerges, layout);
    EXPECT_EQ(tokenizer.vocabSize(), 265u);
    EXPECT_EQ(tokenizer.encode("abc"), (Ids{257}));
    EXPECT_EQ(tokenizer.encode("bc"), (Ids{258}));
    EXPECT_EQ(tokenizer.encode("abcbc"), (Ids{257, 258}));
    EXPECT_EQ(tokenizer.encode("aaa"), (Ids{261, 'a'})) << "the leftmost of equal rank first";
    EXPECT_EQ(tokenizer.encode("aaaa"), (Ids{262}));
    EXPECT_EQ(tokenizer.encode("x abc"), (Ids{'x', ' ', 257})) << "a lower rank goes before a merge further left";
    EXPECT_EQ(tokenizer.encode(""), Ids{});
  }
}

TEST(Tokenizer, NormalizesAndSplits) {
  Tokenizer tokenizer = make();
  EXPECT_EQ(tokenizer.encode("e\xcc\x81"), (Ids{260}));
  EXPECT_EQ(tokenizer.encode("a\nb"), (Ids{'a', '\n', 'b'}));
  Tokenizer crossing = make({{"a", "1"}});
  EXPECT_EQ(crossing.encode("a1"), (Ids{'a', '1'})) << "letters and digits are split before any merge";
}

TEST(Tokenizer, AddedTokensComeFirst) {
  Tokenizer tokenizer = make();
  EXPECT_EQ(tokenizer.encode("ab<|end|>ab<tool>"), (Ids{256, 263, 256, 264}));
  EXPECT_EQ(tokenizer.encode("<|end|"), (Ids{'<', '|', 'e', 'n', 'd', '|'}));
  EXPECT_EQ(tokenizer.addedToken("<|end|>"), 263u);
  EXPECT_FALSE(tokenizer.addedToken("<none>"));
  EXPECT_TRUE(tokenizer.isSpecial(263));
  EXPECT_FALSE(tokenizer.isSpecial(264));
}

TEST(Tokenizer, LongestAddedTokenWins) {
  json file = smallTokenizer({}, MergeLayout::Pairs);
  auto add = [&](int id, const char *content, bool normalized) {
    file["added_tokens"].push_back({{"id", id}, {"content", content}, {"normalized", normalized}, {"special", false}});
  };
  add(258, "<tool><tool>", false);
  add(259, "e\xcc\x81", true); // looked for in the normalized text
  Tokenizer tokenizer = Tokenizer::parse(file.dump(), "t");
  EXPECT_EQ(tokenizer.encode("<tool><tool><tool>"), (Ids{258, 257}));
  EXPECT_EQ(tokenizer.encode("x\xc3\xa9"), (Ids{'x', 259}));
}

TEST(Tokenizer, IgnoreMergesTakesWholeTokens) {
  json file = smallTokenizer({{"a", "b"}, {"b", "c"}}, MergeLayout::Pairs);
  file["model"]["vocab"]["abc"] = 260;
  EXPECT_EQ(Tokenizer::parse(file.dump(), "t").encode("abc"), (Ids{256, 'c'}));
  file["model"]["ignore_merges"] = true;
  EXPECT_EQ(Tokenizer::parse(file.dump(), "t").encode("abc"), (Ids{260}));
}

TEST(Tokenizer, DecodesAndStreams) {
  Tokenizer tokenizer = make();
  const std::string text = "abc \xc3\xa9 \xf0\x9f\x98\x80<|end|>!";
  Ids ids = tokenizer.encode(text);
  EXPECT_EQ(tokenizer.decode(ids), text);
  EXPECT_EQ(tokenizer.decode(ids, true), "abc \xc3\xa9 \xf0\x9f\x98\x80!");
  StreamDecoder decoder(tokenizer);
  std::string streamed;
  for (uint32_t id : ids) {
    std::string part = decoder.push(id);
    EXPECT_EQ(findInvalidUtf8(part), std::string_view::npos);
    streamed += part;
  }
  EXPECT_EQ(streamed + decoder.finish(), text);
  EXPECT_EQ(tokenizer.decode(Ids{0xf0, 0x9f}), "\xef\xbf\xbd");
  expectContains(errorOf([&] { tokenizer.decode(Ids{265}); }), "token id 265");
  expectContains(errorOf([&] { tokenizer.bytes(UINT32_MAX); }), "token id 4294967295");
}

TEST(Tokenizer, TextMustBeUtf8) {
  expectContains(errorOf([] { make().encode("ab\xff"); }), "not UTF-8 at byte 2");
}

/// A pretoken may be the whole text: the time must not grow with its square.
TEST(Tokenizer, LongPretokensAreFast) {
  Tokenizer tokenizer = make();
  for (const std::string &text : {std::string(200'000, 'a'), std::string(200'000, ' '), std::string(200'000, '\n'),
                                  std::string(200'000, '1'), std::string(200'000, '!'), std::string(400'000, '\xc3')}) {
    std::string input = text;
    if (text[0] == '\xc3')
      for (size_t i = 1; i < input.size(); i += 2)
        input[i] = '\xa9';
    auto start = std::chrono::steady_clock::now();
    Ids ids = tokenizer.encode(input);
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    EXPECT_EQ(tokenizer.decode(ids), input);
    EXPECT_LT(seconds, 5.0) << input.substr(0, 4); // far above what it takes, far below what a square would
  }
}

TEST(Tokenizer, Refusals) {
  auto refusalOf = [](const std::function<void(json &)> &change) {
    json file = smallTokenizer(someMerges, MergeLayout::Pairs);
    change(file);
    std::string message = errorOf([&] { Tokenizer::parse(file.dump(), "t.json"); });
    expectContains(message, "t.json");
    return message;
  };
  expectContains(refusalOf([](json &j) { j["normalizer"]["type"] = "NFKC"; }), "normalizer: found NFKC");
  expectContains(refusalOf([](json &j) { j["pre_tokenizer"] = nullptr; }), "pre_tokenizer");
  expectContains(refusalOf([](json &j) { j["pre_tokenizer"] = {{"type", "Whitespace"}}; }), "found Whitespace");
  expectContains(refusalOf([](json &j) { j["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Removed"; }), "Removed");
  expectContains(refusalOf([](json &j) { j["pre_tokenizer"]["pretokenizers"][0]["invert"] = true; }), "Isolated");
  expectContains(refusalOf([](json &j) { j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(a"; }), "(a");
  expectContains(refusalOf([](json &j) { j["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = true; }),
                 "add_prefix_space");
  expectContains(refusalOf([](json &j) { j["pre_tokenizer"]["pretokenizers"][1]["use_regex"] = true; }), "use_regex");
  expectContains(refusalOf([](json &j) { j["post_processor"] = {{"type", "TemplateProcessing"}}; }),
                 "post_processor: found TemplateProcessing");
  expectContains(refusalOf([](json &j) { j["decoder"] = {{"type", "WordPiece"}}; }), "decoder: found WordPiece");
  expectContains(refusalOf([](json &j) { j["model"]["type"] = "Unigram"; }), "model.type: found Unigram");
  expectContains(refusalOf([](json &j) { j["model"]["dropout"] = 0.1; }), "model.dropout");
  expectContains(refusalOf([](json &j) { j["model"]["byte_fallback"] = true; }), "byte_fallback");
  expectContains(refusalOf([](json &j) { j["model"]["continuing_subword_prefix"] = "##"; }), "##");
  expectContains(refusalOf([](json &j) { j["model"]["vocab"].erase("a"); }), "byte 97");
  expectContains(refusalOf([](json &j) { j["model"]["vocab"]["a"] = -1; }), "an id");
  expectContains(refusalOf([](json &j) { j["model"]["vocab"]["a"] = 98; }), "id 98 twice");
  expectContains(refusalOf([](json &j) { j["model"]["vocab"]["a"] = 1ull << 40; }), "expected an id below");
  expectContains(refusalOf([](json &j) { j["model"]["merges"][0] = "a  b"; }), "model.merges[0]");
  expectContains(refusalOf([](json &j) { j["model"]["merges"][0] = "ab"; }), "model.merges[0]");
  expectContains(refusalOf([](json &j) { j["model"]["merges"][1] = {"a"}; }), "model.merges[1]");
  expectContains(refusalOf([](json &j) { j["model"]["merges"][1] = {"a", "b", "c"}; }), "model.merges[1]");
  expectContains(refusalOf([](json &j) { j["model"]["merges"][1] = {"a", ""}; }), "model.merges[1]");
  expectContains(refusalOf([](json &j) { j["model"]["merges"][1] = {"a", "z"}; }), "\"az\"");
  expectContains(refusalOf([](json &j) { j["added_tokens"][0]["lstrip"] = true; }), "lstrip");
  expectContains(refusalOf([](json &j) { j["added_tokens"][0]["single_word"] = true; }), "single_word");
  expectContains(refusalOf([](json &j) { j["added_tokens"][0]["content"] = ""; }), "0 bytes");
  expectContains(refusalOf([](json &j) { j["added_tokens"][0]["id"] = 97; }), "of another token");
  expectContains(refusalOf([](json &j) { j["added_tokens"][1]["content"] = "<|end|>"; }), "twice");
  expectContains(refusalOf([](json &j) { j["added_tokens"][1]["id"] = 1u << 30; }), "expected an id below");
  expectContains(refusalOf([](json &j) { j["added_tokens"][1]["content"] = "abc"; }), "as in model.vocab");
}

TEST(Tokenizer, DamagedFiles) {
  std::string text = smallTokenizer(someMerges, MergeLayout::Strings).dump();
  for (size_t size = 0; size < text.size(); size += 37)
    EXPECT_THROW(Tokenizer::parse(std::string_view(text).substr(0, size), "t"), Error) << size;
  EXPECT_THROW(Tokenizer::parse(text + "x", "t"), Error);
  EXPECT_THROW(Tokenizer::parse("[]", "t"), Error);
  EXPECT_THROW(Tokenizer::parse(std::string(100'000, '['), "t"), Error);
  expectContains(errorOf([] { Tokenizer::parse(R"({"model":{},"model":{}})", "t"); }), "\"model\" twice");
  expectContains(errorOf([] { Tokenizer::parse("version https://git-lfs.github.com/spec/v1\n", "t"); }),
                 "git lfs pull");
  expectContains(errorOf([] { Tokenizer::parse("<!DOCTYPE html>", "t"); }), "HTML page");
  TempDir dir;
  expectContains(errorOf([&] { Tokenizer::load(dir.path()); }), "tokenizer.json");
}

TEST(Tokenizer, SharedPointerFile) {
  QLR_NEED_SHARED(path, "data/negative_fixtures/lfs_pointer.tokenizer.json");
  expectContains(errorOf([&] { Tokenizer::parse(readFile(path), path); }), "git lfs pull");
}

} // namespace
