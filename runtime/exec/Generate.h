// Tokens from a session, one after another.
#pragma once

#include "runtime/exec/Session.h"
#include "runtime/sampler/Sampler.h"

#include <functional>
#include <string>
#include <vector>

namespace qlr {

/// Why a generation ended.
enum class Finish {
  Stop,       ///< an end token
  Length,     ///< as many tokens as asked for
  Context,    ///< the context is full
  Interrupted ///< `cancelled` said so
};

/// "stop", "length", "context" or "interrupted".
const char *finishName(Finish finish);

struct Generation {
  std::vector<uint32_t> ids; ///< an end token included
  Finish finish = Finish::Length;
  uint64_t promptTokens = 0; ///< that went through the model, not those already in the cache
  double promptSeconds = 0;
  uint64_t decodeSteps = 0; ///< launches for one token
  double decodeSeconds = 0; ///< of these launches and of choosing tokens
  uint64_t decodeWeightBytes = 0;
  std::string logitsHash; ///< XXH64 of the last fp32 logits

  double tokensPerSecond() const { return decodeSteps ? static_cast<double>(decodeSteps) / decodeSeconds : 0; }
  double promptTokensPerSecond() const { return promptTokens ? static_cast<double>(promptTokens) / promptSeconds : 0; }
  double weightGigabytesPerSecond() const {
    return decodeSteps ? static_cast<double>(decodeWeightBytes) / decodeSeconds / 1e9 : 0;
  }
};

struct GenerateOptions {
  uint64_t maxTokens = 128;
  std::vector<uint32_t> stopIds;
  std::function<void(uint32_t)> onToken; ///< each token as soon as it is chosen
  std::function<bool()> cancelled;       ///< asked between launches
};

/// Takes what `history` has beyond session.position() into the cache, then chooses tokens with `sampler` and appends
/// them to `history` until something ends it. The last token is in the history but not in the cache. Throws Error when
/// the prompt is longer than the context, and for logits that are not finite.
Generation generate(Session &session, Sampler &sampler, std::vector<uint32_t> &history, const GenerateOptions &options);

/// "20 prompt tokens at 153.1 tok/s; 128 tokens at 34.20 tok/s, 13.70 GB/s of weights; logits 0123456789abcdef".
std::string summaryLine(const Generation &generation);

/// From now on Ctrl-C sets a flag; a second one, before the flag is cleared, ends the program at once.
void catchInterrupts();
bool interruptRequested();
void clearInterrupt();

} // namespace qlr
