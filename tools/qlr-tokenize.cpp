//===- qlr-tokenize.cpp - text to token ids and back ----------------------===//
#include "runtime/format/Artifact.h"
#include "runtime/format/Error.h"
#include "runtime/tokenizer/Tokenizer.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

using namespace qlr;
using nlohmann::json;

namespace {

Tokenizer loadTokenizer(const std::string &model) {
  if (std::filesystem::is_directory(model))
    return Tokenizer::load(model);
  Artifact artifact = Artifact::open(model, Artifact::Verify::Header);
  artifact.verifyTensors("tokenizer/");
  auto text = artifact.tokenizerFile("tokenizer.json");
  if (!text)
    fail({.file = model, .found = "no tokenizer", .expected = "tokenizer/tokenizer.json"});
  return Tokenizer::parse(*text, model + ":tokenizer.json");
}

/// A JSON list of ids, as this program writes them.
std::vector<uint32_t> parseIds(const std::string &line, size_t number) {
  json list = json::parse(line, nullptr, false);
  bool good = list.is_array();
  std::vector<uint32_t> ids;
  if (good)
    for (const json &id : list) {
      good &= id.is_number_unsigned() && id.get<uint64_t>() <= UINT32_MAX;
      ids.push_back(good ? id.get<uint32_t>() : 0);
    }
  if (!good)
    fail({.file = "line " + std::to_string(number),
          .found = line.substr(0, 60),
          .expected = "a JSON list of token ids"});
  return ids;
}

void show(const std::vector<uint32_t> &ids, const std::string &text, bool decode, bool asJson) {
  if (asJson)
    std::cout << json{{"ids", ids}, {"text", text}, {"count", ids.size()}}.dump(-1, ' ', false,
                                                                                json::error_handler_t::replace);
  else if (decode)
    std::cout << text;
  else
    std::cout << json(ids).dump();
  std::cout << '\n';
}

int run(int argc, char **argv) {
  CLI::App app{"Turns text into token ids: one JSON list for each line of the standard input.", "qlr tokenize"};
  std::string model, file;
  bool decode = false, asJson = false;
  app.add_option("model", model, "artifact (.qlr) or model directory")->required();
  app.add_option("--file", file, "the whole of this file as one text");
  app.add_flag("--decode", decode, "the other way: lines are JSON lists of ids, results are texts");
  app.add_flag("--json", asJson, "one object for each line: ids, text, count");
  app.set_version_flag("--version", "qlr tokenize " QLR_VERSION);
  CLI11_PARSE(app, argc, argv);

  Tokenizer tokenizer = loadTokenizer(model);
  std::ios::sync_with_stdio(false);
  auto convert = [&](const std::string &text, size_t number) {
    if (decode) {
      std::vector<uint32_t> ids = parseIds(text, number);
      show(ids, tokenizer.decode(ids), true, asJson);
    } else {
      show(tokenizer.encode(text), text, false, asJson);
    }
  };
  if (!file.empty()) {
    convert(std::string(MappedFile::open(file).text()), 1);
  } else {
    std::string line;
    for (size_t number = 1; std::getline(std::cin, line); ++number)
      convert(line, number);
  }
  std::cout.flush();
  if (!std::cout)
    fail({.file = "standard output", .found = "a failed write", .expected = "room for the result"});
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception &e) {
    std::cerr << "error: " << e.what() << '\n';
    return 1;
  }
}
