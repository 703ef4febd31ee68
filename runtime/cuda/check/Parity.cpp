#include "runtime/cuda/check/Parity.h"

#include "runtime/format/Error.h"
#include "runtime/format/Json.h"
#include "runtime/format/MappedFile.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>

namespace qlr::cuda {
namespace {

constexpr uint32_t greedyPrompt = 12; // most tokens before the greedy ones

std::vector<uint32_t> promptFor(const Plan &plan, uint32_t promptTokens) {
  const uint32_t limit = plan.model.tokenizerVocab.value_or(plan.model.vocab);
  std::vector<uint32_t> ids(std::min(promptTokens, plan.model.maxPositions));
  uint32_t state = 2024;
  for (uint32_t &id : ids) {
    state = state * 1664525u + 1013904223u;
    id = static_cast<uint32_t>((uint64_t{state} * limit) >> 32);
  }
  return ids;
}

} // namespace

Answer answer(const std::shared_ptr<const Artifact> &artifact, const SessionOptions &asked, const Question &question) {
  SessionOptions options = asked;
  Answer result;
  result.prompt = promptFor(artifact->plan(), question.promptTokens);
  result.vocab = artifact->plan().model.vocab;
  options.context = std::min(std::max(question.promptTokens, greedyPrompt + question.greedyTokens),
                             artifact->plan().model.maxPositions);
  options.allLogits = true;
  Session session(artifact, options);
  result.logits.reserve(result.prompt.size() * result.vocab);
  session.appendAll(result.prompt, [&](uint32_t, uint32_t rows, const float *logits, uint64_t stride) {
    for (uint32_t row = 0; row < rows; ++row)
      result.logits.insert(result.logits.end(), logits + row * stride, logits + row * stride + result.vocab);
  });
  session.reset();
  const size_t first = std::min<size_t>(greedyPrompt, result.prompt.size() / 2);
  std::span<const float> logits = session.append(std::span(result.prompt).first(first));
  for (uint32_t i = 0; i < question.greedyTokens && session.position() < session.context(); ++i) {
    auto best = std::max_element(logits.begin(), logits.end());
    float second = -INFINITY;
    for (auto it = logits.begin(); it != logits.end(); ++it)
      if (it != best)
        second = std::max(second, *it);
    const auto id = static_cast<uint32_t>(best - logits.begin());
    result.ids.push_back(id);
    result.gaps.push_back(*best - second);
    logits = session.append(std::span(&id, 1));
  }
  return result;
}

void writeAnswer(const std::string &path, const Answer &answer) {
  nlohmann::json head = {
      {"vocab", answer.vocab}, {"prompt", answer.prompt}, {"ids", answer.ids}, {"gaps", answer.gaps}};
  std::ofstream out(path, std::ios::binary);
  out << head.dump() << '\n';
  out.write(reinterpret_cast<const char *>(answer.logits.data()),
            static_cast<std::streamsize>(answer.logits.size() * sizeof(float)));
  if (!out.flush())
    fail({.file = path, .found = "a failed write", .expected = "a file that can be written"});
}

Answer readAnswer(const std::string &path) {
  MappedFile file = MappedFile::open(path);
  const size_t end = std::min(file.text().find('\n'), file.text().size());
  nlohmann::json head = parseJson(file.text().substr(0, end), path);
  Answer result;
  const std::string_view rest = file.text().substr(std::min(end + 1, file.text().size()));
  try {
    result.vocab = head.at("vocab").get<uint32_t>();
    result.prompt = head.at("prompt").get<std::vector<uint32_t>>();
    result.ids = head.at("ids").get<std::vector<uint32_t>>();
    result.gaps = head.at("gaps").get<std::vector<float>>();
  } catch (const nlohmann::json::exception &error) {
    fail({.file = path, .found = error.what(), .expected = "an answer of qlr-gpu-check --expect"});
  }
  result.logits.resize(result.prompt.size() * result.vocab);
  if (rest.size() != result.logits.size() * sizeof(float) || result.gaps.size() != result.ids.size())
    fail({.file = path,
          .found = std::to_string(rest.size()) + " bytes of logits",
          .expected = std::to_string(result.logits.size() * sizeof(float))});
  std::memcpy(result.logits.data(), rest.data(), rest.size());
  return result;
}

Comparison compare(const Answer &found, const Answer &reference, double bound) {
  if (found.prompt != reference.prompt || found.logits.size() != reference.logits.size())
    fail({.found = "answers to different prompts", .expected = "the same model and the same prompt"});
  Comparison result;
  double error = 0, norm = 0;
  for (size_t i = 0; i < found.logits.size(); ++i) {
    const double difference = double{found.logits[i]} - reference.logits[i];
    error += difference * difference;
    norm += double{reference.logits[i]} * reference.logits[i];
    result.largestError = std::max(result.largestError, std::fabs(difference));
  }
  result.relativeError = std::sqrt(error / norm);
  size_t equal = 0;
  for (size_t row = 0; row < found.prompt.size(); ++row) {
    auto best = [&](const Answer &answer) {
      auto begin = answer.logits.begin() + static_cast<std::ptrdiff_t>(row * answer.vocab);
      return std::max_element(begin, begin + answer.vocab) - begin;
    };
    equal += best(found) == best(reference);
  }
  result.topEqual = static_cast<double>(equal) / static_cast<double>(found.prompt.size());
  result.ids = reference.ids.size();
  while (result.sameIds < result.ids && result.sameIds < found.ids.size() &&
         found.ids[result.sameIds] == reference.ids[result.sameIds])
    ++result.sameIds;
  const bool close = result.sameIds == result.ids || reference.gaps[result.sameIds] < 2 * result.largestError;
  result.passed = result.relativeError <= bound && close;
  return result;
}

} // namespace qlr::cuda
