#include "runtime/exec/Generate.h"

#include "runtime/exec/CommandLine.h"
#include "runtime/format/Error.h"
#include "runtime/format/Hash.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <unistd.h>

namespace qlr {
namespace {

volatile std::sig_atomic_t interrupted = 0;

void onInterrupt(int) {
  if (interrupted)
    _exit(130);
  interrupted = 1;
}

} // namespace

void catchInterrupts() {
  struct sigaction action{};
  action.sa_handler = onInterrupt; // without SA_RESTART: a read that waits for the user ends as well
  sigaction(SIGINT, &action, nullptr);
}

bool interruptRequested() { return interrupted != 0; }

void clearInterrupt() { interrupted = 0; }

const char *finishName(Finish finish) {
  switch (finish) {
  case Finish::Stop:
    return "stop";
  case Finish::Length:
    return "length";
  case Finish::Context:
    return "context";
  case Finish::Interrupted:
    return "interrupted";
  }
  return "";
}

Generation generate(Session &session, Sampler &sampler, std::vector<uint32_t> &history,
                    const GenerateOptions &options) {
  if (history.size() <= session.position())
    fail({.found = "an empty prompt", .expected = "at least one token"});
  Generation result;
  auto cancelled = [&] { return options.cancelled && options.cancelled(); };
  auto isStop = [&](uint32_t id) {
    return std::find(options.stopIds.begin(), options.stopIds.end(), id) != options.stopIds.end();
  };

  const uint32_t before = session.position();
  double begin = now();
  std::span<const float> logits = session.append(std::span(history).subspan(before), options.cancelled);
  result.promptTokens = session.position() - before;
  result.promptSeconds = now() - begin;

  const uint64_t bytesBefore = session.weightBytesRead();
  begin = now();
  while (true) {
    if (logits.empty() || cancelled()) {
      result.finish = Finish::Interrupted;
      break;
    }
    if (result.ids.size() >= options.maxTokens) {
      result.finish = Finish::Length;
      break;
    }
    uint32_t id = sampler.sample(logits, history);
    history.push_back(id);
    result.ids.push_back(id);
    if (options.onToken)
      options.onToken(id);
    if (isStop(id)) {
      result.finish = Finish::Stop;
      break;
    }
    if (result.ids.size() >= options.maxTokens) {
      result.finish = Finish::Length;
      break;
    }
    if (session.position() >= session.context()) {
      result.finish = Finish::Context;
      break;
    }
    logits = session.append(std::span(&id, 1));
    ++result.decodeSteps;
  }
  result.decodeSeconds = now() - begin;
  result.decodeWeightBytes = session.weightBytesRead() - bytesBefore;
  if (!logits.empty())
    result.logitsHash = xxh64Hex(std::as_bytes(logits));
  return result;
}

std::string summaryLine(const Generation &g) {
  char text[256];
  std::snprintf(
      text, sizeof text, "%lu prompt tokens at %.1f tok/s; %zu tokens at %.2f tok/s, %.2f GB/s of weights; logits %s",
      static_cast<unsigned long>(g.promptTokens), g.promptTokensPerSecond(), g.ids.size(), g.tokensPerSecond(),
      g.weightGigabytesPerSecond(), g.logitsHash.empty() ? "none" : g.logitsHash.c_str());
  return text;
}

} // namespace qlr
