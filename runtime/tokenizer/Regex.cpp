#include "runtime/tokenizer/Regex.h"
#include "runtime/format/Error.h"
#include "runtime/tokenizer/Utf8.h"

#include <mutex>
#include <oniguruma.h>

namespace qlr {

struct Regex::Impl {
  regex_t *regex = nullptr;
  ~Impl() {
    if (regex)
      onig_free(regex);
  }
};

static std::string message(int code, OnigErrorInfo *info) {
  OnigUChar text[ONIG_MAX_ERROR_MESSAGE_LEN];
  int length = info ? onig_error_code_to_str(text, code, info) : onig_error_code_to_str(text, code);
  return {reinterpret_cast<char *>(text), static_cast<size_t>(length)};
}

static const OnigUChar *bytes(const char *text) { return reinterpret_cast<const OnigUChar *>(text); }

Regex::Regex(const std::string &pattern, const std::string &file) : impl(std::make_unique<Impl>()) {
  static std::once_flag once;
  std::call_once(once, [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    onig_initialize(encodings, 1);
  });
  OnigErrorInfo info;
  int code = onig_new(&impl->regex, bytes(pattern.data()), bytes(pattern.data() + pattern.size()), ONIG_OPTION_NONE,
                      ONIG_ENCODING_UTF8, ONIG_SYNTAX_DEFAULT, &info);
  if (code != ONIG_NORMAL)
    fail({.file = file,
          .tensor = "pre_tokenizer",
          .found = "pattern " + pattern.substr(0, 60) + " (" + message(code, &info) + ")",
          .expected = "a pattern Oniguruma can compile"});
}

Regex::~Regex() = default;
Regex::Regex(Regex &&) noexcept = default;
Regex &Regex::operator=(Regex &&) noexcept = default;

void Regex::split(std::string_view text, std::vector<std::string_view> &pieces) const {
  std::unique_ptr<OnigRegion, void (*)(OnigRegion *)> region(onig_region_new(),
                                                             [](OnigRegion *r) { onig_region_free(r, 1); });
  const OnigUChar *begin = bytes(text.data()), *end = begin + text.size();
  auto add = [&](size_t from, size_t to) {
    if (from != to)
      pieces.push_back(text.substr(from, to - from));
  };
  size_t done = 0, at = 0;
  while (at < text.size()) {
    int found = onig_search(impl->regex, begin, end, begin + at, end, region.get(), ONIG_OPTION_NONE);
    if (found == ONIG_MISMATCH)
      break;
    if (found < 0)
      fail({.found = "text that the split pattern cannot cut at byte " + std::to_string(at) + " (" +
                     message(found, nullptr) + ")",
            .expected = "text within the regex engine's limits"});
    size_t from = static_cast<size_t>(region->beg[0]), to = static_cast<size_t>(region->end[0]);
    add(done, from);
    add(from, to);
    done = to;
    // After an empty match the search goes on one character later.
    at = to != from ? to : to + (to < text.size() ? utf8Length(static_cast<unsigned char>(text[to])) : 1);
  }
  add(done, text.size());
}

} // namespace qlr
