#include "runtime/format/Error.h"
#include "runtime/format/Safetensors.h"
#include "test/fuzz/Fuzz.h"

using namespace qlr;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  try {
    SafetensorsFile file = SafetensorsFile::view(std::as_bytes(std::span(data, size)), "fuzz");
    // What was accepted must be inside the file: read every byte.
    unsigned sum = 0;
    for (const auto &[name, info] : file.tensors())
      for (std::byte byte : file.data(name))
        sum += static_cast<unsigned>(byte);
    volatile unsigned sink = sum;
    (void)sink;
  } catch (const Error &) {
  }
  return 0;
}

static std::string image(const std::string &header, size_t dataBytes) {
  std::string result(8, '\0');
  result[0] = static_cast<char>(header.size() & 255);
  result[1] = static_cast<char>(header.size() >> 8);
  return result + header + std::string(dataBytes, 'x');
}

std::vector<std::string> fuzzSeeds() {
  return {image("{}", 0), image(R"({"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})", 16),
          image(R"({"__metadata__":{"format":"pt"},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},)"
                R"("s":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}    )",
                11),
          "version https://git-lfs.github.com/spec/v1\n"};
}
