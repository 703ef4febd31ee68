//===- FloatEncoder.h - bf16 and f32: plain rows --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/format/Checkpoint.h"
#include "runtime/format/Codec.h"

namespace qlr {

/// The safetensors type of a float codec.
DType floatCodecType(const Codec &codec);

/// A tensor's bytes in the type of a float codec: as they are when the types agree, else rounded to nearest even.
std::vector<std::byte> encodeFloats(const Codec &codec, const Checkpoint &source, const std::string &tensor);

} // namespace qlr
