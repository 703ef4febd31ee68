//===- TokenizerLoader.cpp - tokenizer.json, checked ----------------------===//
#include "runtime/format/Error.h"
#include "runtime/format/MappedFile.h"
#include "runtime/tokenizer/Tokenizer.h"

#include <simdjson.h>
#include <unordered_set>

namespace qlr {

namespace dom = simdjson::dom;

namespace {

constexpr uint64_t maxId = 1u << 22;
constexpr size_t maxDepth = 64;
constexpr size_t maxPatterns = 16;
constexpr size_t maxContent = 1024;

} // namespace

class TokenizerLoader {
public:
  TokenizerLoader(Tokenizer &result, const std::string &path) : result(result), path(path) {}

  void run(std::string_view text) {
    // The parser reads past the end of its input, so it gets a padded copy.
    simdjson::padded_string padded(text);
    dom::parser parser;
    dom::element root;
    auto error = parser.allocate(std::max<size_t>(text.size(), 64), maxDepth);
    if (!error)
      error = parser.parse(padded).get(root);
    if (error)
      fail({.file = path,
            .found = simdjson::error_message(error),
            .expected = "valid JSON in UTF-8",
            .advice = "the file is damaged or incomplete: get it again"});
    dom::object top = object(root, "the file");
    readNormalizer(member(top, "normalizer"));
    readPreTokenizer(require(top, "pre_tokenizer"));
    readPostProcessor(member(top, "post_processor"));
    dom::element decoder = require(top, "decoder");
    if (type(decoder, "decoder") != "ByteLevel")
      unsupported("decoder", std::string(type(decoder, "decoder")), "ByteLevel");
    dom::object model = object(require(top, "model"), "model");
    readVocabulary(model);
    if (auto tokens = member(top, "added_tokens"))
      readAddedTokens(*tokens);
    readMerges(model);
  }

private:
  using Optional = std::optional<dom::element>;

  [[noreturn]] void refuse(const std::string &where, const std::string &found, const std::string &expected) const {
    fail({.file = path, .tensor = where, .found = found, .expected = expected});
  }
  [[noreturn]] void unsupported(const std::string &where, const std::string &found, const std::string &expected) const {
    fail({.file = path,
          .tensor = where,
          .found = found.substr(0, 80),
          .expected = expected,
          .advice = "only byte-level BPE tokenizers like those of Qwen2 are supported"});
  }

  dom::object object(dom::element value, const char *what) const {
    dom::object result;
    if (value.get(result))
      refuse(what, "something else", "a JSON object");
    // A repeated key would mean different things to different readers.
    std::unordered_set<std::string_view> keys;
    for (auto field : result)
      if (!keys.insert(field.key).second)
        refuse(what, "key \"" + std::string(field.key.substr(0, 60)) + "\" twice", "every key once");
    return result;
  }
  /// Nothing when absent or null.
  Optional member(dom::object object, std::string_view key) const {
    for (auto field : object)
      if (field.key == key)
        return field.value.is_null() ? Optional() : Optional(field.value);
    return std::nullopt;
  }
  dom::element require(dom::object object, const char *key) const {
    if (auto value = member(object, key))
      return *value;
    refuse(key, "nothing", "a value");
  }
  std::string_view string(dom::element value, const char *what) const {
    std::string_view text;
    if (value.get(text))
      refuse(what, "something else", "a string");
    return text;
  }
  std::string_view type(dom::element value, const char *what) const {
    return string(require(object(value, what), "type"), what);
  }
  bool flag(dom::object object, const char *key, bool otherwise) const {
    auto value = member(object, key);
    if (!value)
      return otherwise;
    bool result;
    if (value->get(result))
      refuse(key, "something else", "true or false");
    return result;
  }
  dom::array array(dom::element value, const char *what) const {
    dom::array result;
    if (value.get(result))
      refuse(what, "something else", "a list");
    return result;
  }

  void readNormalizer(Optional normalizer) {
    if (!normalizer)
      return;
    if (type(*normalizer, "normalizer") != "NFC")
      unsupported("normalizer", std::string(type(*normalizer, "normalizer")), "NFC or none");
    result.nfc = true;
  }

  void readPostProcessor(Optional processor) {
    // ByteLevel only trims offsets, which nobody here asks for.
    if (processor && type(*processor, "post_processor") != "ByteLevel")
      unsupported("post_processor", std::string(type(*processor, "post_processor")), "ByteLevel or none");
  }

  /// Sequence[Split ..., ByteLevel], or ByteLevel alone.
  void readPreTokenizer(dom::element value) {
    std::vector<dom::element> parts;
    if (type(value, "pre_tokenizer") == "Sequence") {
      for (dom::element part : array(require(object(value, "pre_tokenizer"), "pretokenizers"), "pretokenizers"))
        parts.push_back(part);
    } else {
      parts.push_back(value);
    }
    if (parts.empty() || parts.size() > maxPatterns)
      unsupported("pre_tokenizer", std::to_string(parts.size()) + " parts", "Split and ByteLevel");
    for (size_t i = 0; i < parts.size(); ++i) {
      std::string kind(type(parts[i], "pre_tokenizer"));
      bool last = i + 1 == parts.size();
      if (kind != (last ? "ByteLevel" : "Split"))
        unsupported("pre_tokenizer", kind, last ? "ByteLevel at the end" : "Split before ByteLevel");
      dom::object part = object(parts[i], "pre_tokenizer");
      if (last) {
        if (flag(part, "add_prefix_space", true) || flag(part, "use_regex", true))
          unsupported("pre_tokenizer", "ByteLevel with add_prefix_space or use_regex", "both false");
      } else {
        readSplit(part);
      }
    }
  }

  void readSplit(dom::object part) {
    auto pattern = member(object(require(part, "pattern"), "pattern"), "Regex");
    if (!pattern)
      unsupported("pre_tokenizer", "Split without a regular expression", "pattern.Regex");
    std::string_view behavior = string(require(part, "behavior"), "behavior");
    if (behavior != "Isolated" || flag(part, "invert", false))
      unsupported("pre_tokenizer", "Split behavior " + std::string(behavior), "Isolated, not inverted");
    result.patterns.emplace_back(std::string(string(*pattern, "pattern")), path);
  }

  Tokenizer::Token &slot(uint64_t id, std::string_view token) {
    if (id >= maxId)
      refuse("\"" + std::string(token.substr(0, 60)) + "\"", "id " + std::to_string(id),
             "an id below " + std::to_string(maxId));
    if (id >= result.tokens.size())
      result.tokens.resize(id + 1);
    return result.tokens[id];
  }

  void readVocabulary(dom::object model) {
    auto kind = member(model, "type");
    if (kind && string(*kind, "model.type") != "BPE")
      unsupported("model.type", std::string(string(*kind, "model.type")), "BPE");
    if (auto dropout = member(model, "dropout"))
      unsupported("model.dropout", "a value", "null");
    for (const char *key : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (auto value = member(model, key); value && !string(*value, key).empty())
        unsupported(std::string("model.") + key, std::string(string(*value, key)), "none");
    if (flag(model, "byte_fallback", false))
      unsupported("model.byte_fallback", "true", "false");
    result.ignoreMerges = flag(model, "ignore_merges", false);

    dom::object vocabulary;
    if (require(model, "vocab").get(vocabulary))
      refuse("model.vocab", "something else", "an object of tokens and ids");
    result.vocabulary.reserve(vocabulary.size());
    std::string bytes;
    for (auto field : vocabulary) {
      uint64_t id;
      if (field.value.get(id))
        refuse("model.vocab \"" + std::string(field.key.substr(0, 60)) + "\"", "no non-negative integer", "an id");
      Tokenizer::Token &token = slot(id, field.key);
      if (token.present)
        refuse("model.vocab \"" + std::string(field.key.substr(0, 60)) + "\"", "id " + std::to_string(id) + " twice",
               "every id once");
      bool inAlphabet = fromByteAlphabet(field.key, bytes);
      result.storage.push_back(inAlphabet ? bytes : std::string(field.key));
      token = {result.storage.back(), true, false};
      // Tokens outside the byte alphabet (special ones) never come out of merges.
      if (inAlphabet && !result.vocabulary.emplace(token.bytes, static_cast<uint32_t>(id)).second)
        refuse("model.vocab \"" + std::string(field.key.substr(0, 60)) + "\"", "the token twice", "every token once");
    }
    for (unsigned b = 0; b < 256; ++b) {
      char byte = static_cast<char>(b);
      auto it = result.vocabulary.find(std::string_view(&byte, 1));
      if (it == result.vocabulary.end())
        refuse("model.vocab", "no token for byte " + std::to_string(b), "one for each of the 256 bytes");
      result.bpe.byteIds[b] = it->second;
    }
  }

  void readAddedTokens(dom::element list) {
    std::unordered_set<std::string> contents;
    for (dom::element entry : array(list, "added_tokens")) {
      dom::object fields = object(entry, "added_tokens");
      AddedToken token;
      token.content = std::string(string(require(fields, "content"), "added_tokens.content"));
      std::string where = "added_tokens \"" + token.content.substr(0, 60) + "\"";
      uint64_t id;
      if (require(fields, "id").get(id))
        refuse(where, "no non-negative integer", "an id");
      if (token.content.empty() || token.content.size() > maxContent)
        refuse(where, std::to_string(token.content.size()) + " bytes", "1 to " + std::to_string(maxContent));
      for (const char *key : {"lstrip", "rstrip", "single_word"})
        if (flag(fields, key, false))
          unsupported(where, std::string(key) + " true", "false");
      token.special = flag(fields, "special", false);
      token.normalized = flag(fields, "normalized", !token.special);
      if (!contents.insert(token.content).second)
        refuse(where, "the token twice", "every token once");
      Tokenizer::Token &place = slot(id, token.content);
      std::string bytes;
      bool same = place.present &&
                  (place.bytes == token.content || (fromByteAlphabet(token.content, bytes) && place.bytes == bytes));
      if (place.present && !same)
        refuse(where, "id " + std::to_string(id) + " of another token", "an id of its own");
      auto known = result.vocabulary.find(token.content);
      if (known != result.vocabulary.end() && known->second != id)
        refuse(where, "id " + std::to_string(id), std::to_string(known->second) + " as in model.vocab");
      token.id = static_cast<uint32_t>(id);
      result.storage.push_back(token.content);
      place = {result.storage.back(), true, token.special};
      if (!token.normalized) {
        result.raw.add(result.storage.back(), token.id);
      } else {
        result.storage.push_back(result.nfc ? normalizeNfc(token.content) : token.content);
        result.afterNormalization.add(result.storage.back(), token.id);
      }
      result.added.push_back(std::move(token));
    }
  }

  uint32_t tokenId(std::string_view text, uint32_t rank) {
    if (fromByteAlphabet(text, scratch)) {
      auto it = result.vocabulary.find(scratch);
      if (it != result.vocabulary.end())
        return it->second;
    }
    refuse("model.merges[" + std::to_string(rank) + "]", "\"" + std::string(text.substr(0, 60)) + "\"",
           "tokens of model.vocab");
  }

  /// Both layouts: ["a b", ...] and, since tokenizers 0.20, [["a", "b"], ...].
  void readMerges(dom::object model) {
    dom::array merges = array(require(model, "merges"), "model.merges");
    result.bpe.reserve(merges.size());
    uint32_t rank = 0;
    std::string joined;
    for (dom::element merge : merges) {
      std::string_view left, right, line;
      auto bad = [&] {
        refuse("model.merges[" + std::to_string(rank) + "]", "something else", R"("a b" or ["a", "b"])");
      };
      if (!merge.get(line)) {
        if (line.starts_with("#version"))
          continue;
        size_t space = line.find(' ');
        if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos)
          bad();
        left = line.substr(0, space);
        right = line.substr(space + 1);
      } else {
        dom::array pair;
        if (merge.get(pair) || pair.size() != 2 || pair.at(0).get(left) || pair.at(1).get(right))
          bad();
      }
      if (left.empty() || right.empty())
        bad();
      uint32_t leftId = tokenId(left, rank), rightId = tokenId(right, rank);
      joined.assign(left).append(right);
      result.bpe.addMerge(leftId, rightId, rank, tokenId(joined, rank));
      ++rank;
    }
  }

  Tokenizer &result;
  const std::string &path;
  std::string scratch;
};

Tokenizer Tokenizer::load(const std::string &dir) {
  std::string path = joinPath(dir, "tokenizer.json");
  MappedFile file = MappedFile::open(path);
  return parse(file.text(), path);
}

Tokenizer Tokenizer::parse(std::string_view json, const std::string &path) {
  refuseImpostor(json, path);
  Tokenizer result;
  result.name = path;
  TokenizerLoader(result, path).run(json);
  return result;
}

} // namespace qlr
