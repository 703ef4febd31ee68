//===- Fuzz.h - what a fuzz target defines --------------------------------===//
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// libFuzzer's entry: any bytes may come; only qlr::Error may be thrown inside, and it is caught inside.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/// Good inputs that the mutations start from.
std::vector<std::string> fuzzSeeds();
