//===- Regex.h - the split pattern of a tokenizer -------------------------===//
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qlr {

/// A pattern compiled by Oniguruma, the engine of Hugging Face's tokenizers: the same syntax, the same Unicode classes.
class Regex {
public:
  /// Throws Error naming `file` when the pattern is not valid.
  Regex(const std::string &pattern, const std::string &file);
  ~Regex();
  Regex(Regex &&) noexcept;
  Regex &operator=(Regex &&) noexcept;

  /// Cuts valid UTF-8 into its matches and what lies between them; empty pieces are left out. The pieces are views
  /// into `text`, appended to `pieces`. Throws Error when matching exceeds the engine's limits.
  void split(std::string_view text, std::vector<std::string_view> &pieces) const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl;
};

} // namespace qlr
