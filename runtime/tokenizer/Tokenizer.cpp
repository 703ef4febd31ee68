#include "runtime/tokenizer/Tokenizer.h"
#include "runtime/format/Error.h"

#include <algorithm>

namespace qlr {

namespace {

/// Pretokens repeat; beyond this many, remembering more costs more than it saves.
constexpr size_t maxCached = 1u << 16;
constexpr size_t maxCachedLength = 64;

} // namespace

void Tokenizer::Matcher::add(const std::string &content, uint32_t id) {
  ids.emplace(content, id);
  first[static_cast<unsigned char>(content[0])] = true;
  auto place = std::lower_bound(lengths.begin(), lengths.end(), content.size(), std::greater<>());
  if (place == lengths.end() || *place != content.size())
    lengths.insert(place, content.size());
}

void Tokenizer::Matcher::split(std::string_view all, const std::function<void(std::string_view)> &text,
                               const std::function<void(uint32_t)> &token) const {
  size_t done = 0;
  auto flush = [&](size_t to) {
    if (to != done)
      text(all.substr(done, to - done));
  };
  for (size_t i = 0; i < all.size();) {
    size_t matched = 0;
    if (first[static_cast<unsigned char>(all[i])])
      for (size_t length : lengths) {
        if (length > all.size() - i)
          continue;
        auto it = ids.find(all.substr(i, length));
        if (it == ids.end())
          continue;
        flush(i);
        token(it->second);
        matched = length;
        break;
      }
    i += std::max<size_t>(matched, 1);
    if (matched != 0)
      done = i;
  }
  flush(all.size());
}

void Tokenizer::encodePlain(std::string_view text, std::vector<uint32_t> &ids, Cache &cache) const {
  std::vector<std::string_view> pieces{text}, next;
  for (const Regex &pattern : patterns) {
    next.clear();
    for (std::string_view piece : pieces)
      pattern.split(piece, next);
    pieces.swap(next);
  }
  std::string key;
  for (std::string_view piece : pieces) {
    if (ignoreMerges) {
      auto it = vocabulary.find(piece);
      if (it != vocabulary.end()) {
        ids.push_back(it->second);
        continue;
      }
    }
    if (piece.size() > maxCachedLength) {
      bpe.encode(piece, ids);
      continue;
    }
    key.assign(piece);
    auto it = cache.find(key);
    if (it != cache.end()) {
      ids.insert(ids.end(), it->second.begin(), it->second.end());
      continue;
    }
    size_t before = ids.size();
    bpe.encode(piece, ids);
    if (cache.size() < maxCached)
      cache.emplace(key, std::vector<uint32_t>(ids.begin() + static_cast<ptrdiff_t>(before), ids.end()));
  }
}

std::vector<uint32_t> Tokenizer::encode(std::string_view text) const {
  size_t invalid = findInvalidUtf8(text);
  if (invalid != std::string_view::npos)
    fail({.found = "text that is not UTF-8 at byte " + std::to_string(invalid),
          .expected = "UTF-8",
          .advice = "convert it, for example with iconv"});
  std::vector<uint32_t> ids;
  Cache cache;
  auto token = [&](uint32_t id) { ids.push_back(id); };
  // Added tokens first, in the text as it is; then, in what lies between, those that are looked for after
  // normalization.
  raw.split(
      text,
      [&](std::string_view part) {
        std::string normal = nfc ? normalizeNfc(part) : std::string(part);
        afterNormalization.split(normal, [&](std::string_view plain) { encodePlain(plain, ids, cache); }, token);
      },
      token);
  return ids;
}

std::string_view Tokenizer::bytes(uint32_t id) const {
  if (!has(id))
    fail({.file = name,
          .found = "token id " + std::to_string(id),
          .expected = "an id of the tokenizer (below " + std::to_string(tokens.size()) + ")"});
  return tokens[id].bytes;
}

std::string Tokenizer::decode(std::span<const uint32_t> ids, bool skipSpecial) const {
  StreamDecoder decoder(*this, skipSpecial);
  std::string text;
  for (uint32_t id : ids)
    text += decoder.push(id);
  return text + decoder.finish();
}

std::optional<uint32_t> Tokenizer::addedToken(std::string_view content) const {
  for (const AddedToken &token : added)
    if (token.content == content)
      return token.id;
  return std::nullopt;
}

std::string StreamDecoder::push(uint32_t id) {
  std::string_view bytes = tokenizer.bytes(id);
  if (skipSpecial && tokenizer.isSpecial(id))
    return {};
  return stream.push(bytes);
}

} // namespace qlr
