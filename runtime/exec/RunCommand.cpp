#include "runtime/exec/RunCommand.h"

#include "runtime/exec/CommandLine.h"
#include "runtime/exec/Generate.h"
#include "runtime/exec/Memory.h"
#include "runtime/exec/ModelStore.h"
#include "runtime/exec/ModelText.h"
#include "runtime/format/Error.h"
#include "runtime/format/Hash.h"

#include <cstdio>
#include <iostream>
#include <random>
#include <unistd.h>

namespace qlr {
namespace {

struct RunFlags {
  std::string model, file, promptIds;
  std::optional<std::string> prompt, system;
  int64_t predict = -2; // not given; -1 = until something else ends it
  std::optional<double> temperature, topP, minP, repeatPenalty;
  std::optional<uint32_t> topK;
  int64_t seed = -1;
  uint32_t prefillChunk = Plan::maxTokens;
  std::string dumpLogits;
  bool raw = false, json = false, singleTurn = false, interactive = false, ignoreEos = false, list = false,
       verbose = false;
};

void addFlags(CLI::App &app, RunFlags &flags) {
  app.add_option("model", flags.model, "M.qlr, or a model directory (compiled once, then kept)");
  app.add_option("-p,--prompt", flags.prompt, "text to answer; without it, a chat on the terminal");
  app.add_option("-f,--file", flags.file, "file with the prompt; - for standard input");
  app.add_option("--prompt-ids", flags.promptIds, "prompt as token ids: 1,2,3");
  app.add_option("--system-prompt,--sys", flags.system, "system text of the chat (also -sys)");
  app.add_option("-n,--predict", flags.predict, "tokens to generate; -1 = no limit (default: 128; in a chat no limit)")
      ->check(CLI::Range(int64_t{-1}, int64_t{1} << 40));
  app.add_option("--temp", flags.temperature, "temperature; 0 = greedy (defaults: generation_config.json)");
  app.add_option("--top-k", flags.topK, "choose among the k likeliest; 0 = all");
  app.add_option("--top-p", flags.topP, "choose among the likeliest that make up this share");
  app.add_option("--min-p", flags.minP, "leave out what is less likely than this share of the likeliest");
  app.add_option("--repeat-penalty", flags.repeatPenalty, "divide logits of what was said; 1 = off");
  app.add_option("-s,--seed", flags.seed, "seed of the sampler; -1 = a random one (default)");
  app.add_flag("--ignore-eos", flags.ignoreEos, "go on after an end token");
  app.add_flag("--raw", flags.raw, "continue the text: no chat template");
  app.add_flag("-i,--interactive", flags.interactive, "go on chatting after the first answer");
  app.add_flag("--single-turn", flags.singleTurn, "end after one answer (also -st)");
  app.add_flag("--json", flags.json, "print one JSON object instead of text");
  app.add_flag("-v,--verbose", flags.verbose, "say what is loaded, and where memory goes");
  app.add_option("--prefill-chunk", flags.prefillChunk, "most prompt tokens at a time (default 128)")
      ->check(CLI::Range(1u, Plan::maxTokens));
  app.add_option("--dump-logits", flags.dumpLogits, "write the logits of every prompt position: f32, one row a token");
  app.add_flag("--list-devices", flags.list, "name the devices, and end");
}

/// llama.cpp's two-letter short options, as users type them.
std::vector<std::string> spellOut(int argc, char **argv) {
  std::vector<std::string> arguments(argv, argv + argc);
  for (size_t i = 1; i < arguments.size(); ++i)
    if (arguments[i] == "-sys")
      arguments[i] = "--sys";
    else if (arguments[i] == "-st")
      arguments[i] = "--single-turn";
  return arguments;
}

std::vector<uint32_t> parseIds(const std::string &text) {
  std::vector<uint32_t> ids;
  size_t at = 0;
  while (at <= text.size()) {
    size_t end = std::min(text.find(',', at), text.size());
    std::string word = text.substr(at, end - at);
    word.erase(0, word.find_first_not_of(' '));
    if (word.empty() || word.size() > 9 || word.find_first_not_of("0123456789") != std::string::npos)
      fail({.tensor = "--prompt-ids", .found = "'" + word + "'", .expected = "numbers with commas between: 1,2,3"});
    ids.push_back(static_cast<uint32_t>(std::stoul(word)));
    at = end + 1;
  }
  return ids;
}

/// One run of the program, from the loaded model on.
class Run {
public:
  Run(const RunFlags &flags, std::shared_ptr<const Artifact> artifact, const SessionOptions &options)
      : flags(flags), session(artifact, options) {
    if (flags.promptIds.empty() || artifact->tokenizerFile("tokenizer.json"))
      tokenizer = loadTokenizer(*artifact);
    if (flags.promptIds.empty() && !flags.raw)
      chat = loadChatTemplate(*artifact);
    if (flags.system && !chat)
      fail({.file = artifact->path(),
            .tensor = "--system-prompt",
            .found = "no chat",
            .expected = "a model with a chat template, and neither --raw nor --prompt-ids"});
    if (!flags.ignoreEos)
      stops = stopIds(*artifact, tokenizer ? &*tokenizer : nullptr, chat.has_value());
    makeSampler(*artifact);
    if (flags.verbose)
      describe();
  }

  int run() {
    catchInterrupts();
    std::optional<std::string> text = flags.prompt;
    if (!flags.file.empty())
      text = readText(flags.file);
    if (!flags.promptIds.empty())
      history = parseIds(flags.promptIds);
    if (!flags.promptIds.empty() || !chat) {
      if (flags.promptIds.empty() && !text)
        fail({.found = "no prompt",
              .expected = "-p TEXT, -f FILE or --prompt-ids",
              .advice = flags.raw ? "" : "this model has no chat template, so there is no chat"});
      if (text)
        history = tokenizer->encode(*text);
      return answer() == Finish::Interrupted ? 130 : 0;
    }
    return converse(text);
  }

private:
  void makeSampler(const Artifact &artifact) {
    SamplingOptions options = loadGenerationConfig(artifact).sampling;
    options.temperature = flags.temperature.value_or(options.temperature);
    options.topK = flags.topK.value_or(options.topK);
    options.topP = flags.topP.value_or(options.topP);
    options.minP = flags.minP.value_or(options.minP);
    options.repetitionPenalty = flags.repeatPenalty.value_or(options.repetitionPenalty);
    options.seed = flags.seed >= 0 ? static_cast<uint64_t>(flags.seed) : std::random_device()();
    uint32_t limit = session.plan().model.tokenizerVocab.value_or(tokenizer ? tokenizer->vocabSize() : 0);
    sampler.emplace(options, limit);
  }

  void describe() {
    MemoryNeed need = session.memory();
    std::fprintf(stderr, "%s\n%s, context %u\nweights %s, cache %s, workspace %s%s\n",
                 session.artifact().path().c_str(), session.device().describe().c_str(), session.context(),
                 formatBytes(need.weights).c_str(), formatBytes(need.cache).c_str(),
                 formatBytes(need.workspace + need.state).c_str(),
                 need.hostWeights ? ("; in host memory " + formatBytes(need.hostWeights)).c_str() : "");
  }

  void append(const std::string &text) {
    std::vector<uint32_t> ids = tokenizer->encode(text);
    history.insert(history.end(), ids.begin(), ids.end());
  }

  int converse(std::optional<std::string> text) {
    const bool goOn = flags.interactive || (!text && !flags.singleTurn);
    if (flags.json && goOn)
      fail({.tensor = "--json", .found = "a chat without end", .expected = "a prompt (-p or -f), or --single-turn"});
    const std::string system = flags.system.value_or(chat->defaultSystem());
    append(ChatTemplate::renderMessage({"system", system}));
    bool first = true;
    while (true) {
      if (!text && !(text = readLine()))
        return 0;
      if (!first)
        append("\n"); // what follows the <|im_end|> of the last answer
      append(ChatTemplate::renderMessage({"user", *text}) + std::string(ChatTemplate::generationPrompt()));
      text.reset();
      Finish finish = answer();
      if (!goOn)
        return finish == Finish::Interrupted ? 130 : 0;
      if (finish == Finish::Context)
        return 0;
      closeAnswer(finish);
      clearInterrupt();
      first = false;
    }
  }

  /// An answer that was cut off still has to end in the history, as the model has learned to see it.
  void closeAnswer(Finish finish) {
    std::optional<uint32_t> end = tokenizer->addedToken("<|im_end|>");
    if (end && (finish != Finish::Stop || history.back() != *end))
      history.push_back(*end);
  }

  std::optional<std::string> readLine() {
    const bool terminal = isatty(STDIN_FILENO);
    std::string line;
    do {
      if (terminal)
        std::fputs("\n> ", stderr);
      if (!std::getline(std::cin, line)) {
        if (terminal)
          std::fputc('\n', stderr);
        return std::nullopt;
      }
    } while (line.find_first_not_of(" \t\r") == std::string::npos);
    return line;
  }

  /// Runs the prompt for the logits of all its positions and forgets it again.
  Generation dumpLogits() {
    Generation result;
    const double begin = now();
    std::unique_ptr<std::FILE, int (*)(std::FILE *)> out(std::fopen(flags.dumpLogits.c_str(), "wb"), std::fclose);
    bool good = out != nullptr;
    if (good)
      session.appendAll(history, [&](uint32_t, uint32_t rows, const float *logits, uint64_t stride) {
        for (uint32_t row = 0; row < rows; ++row) {
          std::span<const float> own(logits + row * stride, session.vocab());
          good = good && std::fwrite(own.data(), sizeof(float), own.size(), out.get()) == own.size();
          if (row + 1 == rows)
            result.logitsHash = xxh64Hex(std::as_bytes(own));
        }
      });
    if (!good || std::fflush(out.get()) != 0)
      fail({.file = flags.dumpLogits, .found = "a failed write", .expected = "a file that can be written"});
    result.promptTokens = session.position();
    result.promptSeconds = now() - begin;
    session.reset();
    return result;
  }

  /// Generates, streams, and prints the last line.
  Finish answer() {
    std::string text;
    std::optional<StreamDecoder> decoder;
    if (tokenizer)
      decoder.emplace(*tokenizer, /*skipSpecial=*/true);
    auto emit = [&](const std::string &piece) {
      text += piece;
      if (flags.json)
        return;
      std::fwrite(piece.data(), 1, piece.size(), stdout);
      if (std::fflush(stdout) != 0)
        fail({.file = "standard output", .found = "a failed write", .expected = "a reader that goes on reading"});
    };
    GenerateOptions options;
    const bool oneTurn = !chat || flags.prompt || !flags.file.empty() || flags.singleTurn;
    int64_t limit = flags.predict == -2 ? (oneTurn && !flags.interactive ? 128 : -1) : flags.predict;
    options.maxTokens = limit < 0 ? UINT64_MAX : static_cast<uint64_t>(limit);
    options.stopIds = stops;
    options.cancelled = interruptRequested;
    size_t count = 0;
    options.onToken = [&](uint32_t id) {
      if (decoder)
        emit(decoder->push(id));
      else
        emit((count++ ? "," : "") + std::to_string(id));
    };
    std::vector<uint32_t> prompt = history;
    Generation result;
    if (!flags.dumpLogits.empty())
      result = dumpLogits();
    if (flags.dumpLogits.empty() || options.maxTokens) // -n 0 runs the prompt once
      result = generate(session, *sampler, history, options);
    if (decoder)
      emit(decoder->finish());
    if (!flags.json)
      emit("\n");
    if (result.finish == Finish::Context)
      std::fprintf(stderr, "stopped: the context of %u tokens is full%s\n", session.context(),
                   session.context() < session.plan().model.maxPositions ? "; raise --ctx-size"
                                                                         : " (the model's limit)");
    if (result.finish == Finish::Interrupted)
      std::fprintf(stderr, "stopped by the user\n");
    std::fprintf(stderr, "%s%s\n", summaryLine(result).c_str(),
                 sampler->options().temperature > 0 ? ("; seed " + std::to_string(sampler->options().seed)).c_str()
                                                    : "");
    if (flags.json)
      printJson({{"prompt_ids", prompt},
                 {"ids", result.ids},
                 {"text", text},
                 {"finish", finishName(result.finish)},
                 {"tokens_per_second", result.tokensPerSecond()},
                 {"prompt_tokens_per_second", result.promptTokensPerSecond()},
                 {"weight_gigabytes_per_second", result.weightGigabytesPerSecond()},
                 {"seed", sampler->options().seed},
                 {"logits_hash", result.logitsHash}});
    return result.finish;
  }

  const RunFlags &flags;
  Session session;
  std::optional<Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat;
  std::optional<Sampler> sampler;
  std::vector<uint32_t> stops, history;
};

} // namespace

int runCommandMain(int argc, char **argv) {
  RunFlags flags;
  CLI::App app;
  describeProgram(app, "run", "Generates text with a compiled model.");
  addFlags(app, flags);
  SessionFlags sessionFlags(app, /*context=*/true);
  if (std::optional<int> code = parseCommandLine(app, spellOut(argc, argv)))
    return *code;
  if (flags.list) {
    for (const auto &[name, description] : listDevices())
      std::printf("%s: %s\n", name.c_str(), description.c_str());
    return 0;
  }
  if (flags.model.empty())
    fail({.found = "no model", .expected = "a .qlr file or a model directory", .advice = "see qlr run --help"});
  if (int(flags.prompt.has_value()) + int(!flags.file.empty()) + int(!flags.promptIds.empty()) > 1)
    fail({.found = "more than one prompt", .expected = "one of -p, -f and --prompt-ids"});
  if (!flags.promptIds.empty())
    parseIds(flags.promptIds); // a mistake is told before anything is loaded
  SessionOptions options = sessionFlags.finish();
  options.largestChunk = flags.prefillChunk;
  options.allLogits = !flags.dumpLogits.empty();
  return Run(flags, openModel(flags.model, targetForDevice(options.device)), options).run();
}

} // namespace qlr
