//===- Half.h - 16-bit floats ---------------------------------------------===//
#pragma once

#include <bit>
#include <cstdint>

namespace qlr {

inline float bf16ToF32(uint16_t h) { return std::bit_cast<float>(static_cast<uint32_t>(h) << 16); }

/// Round to nearest even; a NaN stays a NaN.
inline uint16_t f32ToBf16(float f) {
  uint32_t u = std::bit_cast<uint32_t>(f);
  if ((u & 0x7fffffffu) > 0x7f800000u)
    return static_cast<uint16_t>((u >> 16) | 0x40u);
  u += 0x7fffu + ((u >> 16) & 1u);
  return static_cast<uint16_t>(u >> 16);
}

inline float f16ToF32(uint16_t h) {
  uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
  uint32_t rest = h & 0x7fffu;
  if (rest >= 0x7c00u)
    return std::bit_cast<float>(sign | 0x7f800000u | ((rest & 0x3ffu) << 13));
  // Scaling by 2^112 moves the exponent's bias from 15 to 127 and makes subnormals normal, exactly.
  float magnitude = std::bit_cast<float>(rest << 13) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

/// Round to nearest even; overflow gives infinity; a NaN stays a NaN.
inline uint16_t f32ToF16(float f) {
  uint32_t u = std::bit_cast<uint32_t>(f);
  uint16_t sign = static_cast<uint16_t>((u >> 16) & 0x8000u);
  u &= 0x7fffffffu;
  if (u > 0x7f800000u)
    return sign | 0x7e00u;
  if (u >= 0x477ff000u) // 65520, the first value that rounds to infinity
    return sign | 0x7c00u;
  if (u < 0x38800000u) { // below 2^-14: adding 0.5 leaves a multiple of 2^-24 in the low bits, rounded by the adder
    float shifted = std::bit_cast<float>(u) + 0.5f;
    return sign | static_cast<uint16_t>(std::bit_cast<uint32_t>(shifted) - 0x3f000000u);
  }
  u += 0xfffu + ((u >> 13) & 1u);
  return sign | static_cast<uint16_t>((u - 0x38000000u) >> 13);
}

} // namespace qlr
