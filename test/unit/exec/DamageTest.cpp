// Damaged artifacts are refused by name, whatever byte is wrong.
#include "runtime/exec/Session.h"
#include "runtime/format/Error.h"
#include "test/unit/exec/ToyArtifact.h"

#include <gtest/gtest.h>

using namespace qlr;
using namespace qlr::test;

namespace {

class Damage : public testing::Test {
protected:
  void SetUp() override {
    path = directory.file("toy.qlr");
    ToyOptions options;
    options.tokenizerDir = QLR_SOURCE_DIR "/test/models/demo";
    options.maxPositions = 200;
    writeToyArtifact(path, options);
    whole = readFile(path);
  }

  /// The message for `content` in place of the artifact; empty when it is not refused.
  std::string messageFor(const std::string &content) {
    writeFile(path, content);
    try {
      Session session(std::make_shared<Artifact>(Artifact::open(path)), {});
    } catch (const Error &error) {
      return error.what();
    }
    return "";
  }

  TemporaryDirectory directory;
  std::string path, whole;
};

TEST_F(Damage, everyTruncationIsRefusedByName) {
  uint64_t header = 8;
  for (int i = 7; i >= 0; --i)
    header += uint64_t{static_cast<unsigned char>(whole[i])} << (8 * i);
  std::vector<size_t> sizes = {0, 1, 7, 8, 9, 100, header - 1, header, header + 1, whole.size() - 1};
  for (size_t size = 0; size < whole.size(); size += whole.size() / 50 + 1)
    sizes.push_back(size);
  for (size_t size : sizes)
    EXPECT_NE(messageFor(whole.substr(0, size)).find("toy.qlr"), std::string::npos) << size;
  EXPECT_NE(messageFor(whole + std::string(64, '\0')).find("toy.qlr"), std::string::npos);
  EXPECT_EQ(messageFor(whole), "");
}

TEST_F(Damage, everyFlippedBitIsRefusedByName) {
  // Header length, header with plan, hashes and padding, weights, kernels, tokenizer: all regions are walked.
  size_t refused = 0, tried = 0;
  for (size_t at = 0; at < whole.size(); at += at < 16 ? 1 : at < 40000 ? 61 : 1999) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    std::string message = messageFor(damaged);
    ++tried;
    refused += message.find("toy.qlr") != std::string::npos;
    EXPECT_NE(message.find("toy.qlr"), std::string::npos) << "byte " << at << ": " << message;
  }
  EXPECT_EQ(refused, tried);
  EXPECT_GT(tried, 300u);
}

} // namespace
