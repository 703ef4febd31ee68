#include "runtime/emulator/Functions.h"

#include <cmath>

namespace qlr::emu {
namespace {

/// Zero of the same sign in place of a denormal.
float flush(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }

} // namespace

float functionEx2(float x) { return static_cast<float>(std::exp2(static_cast<double>(x))); }
float functionLg2(float x) { return static_cast<float>(std::log2(static_cast<double>(x))); }
float functionRsqrt(float x) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(x))); }
float functionRcp(float x) { return 1.0f / x; }
float functionSqrt(float x) { return std::sqrt(x); }
float functionSin(float x) { return static_cast<float>(std::sin(static_cast<double>(x))); }
float functionCos(float x) { return static_cast<float>(std::cos(static_cast<double>(x))); }
float functionTanh(float x) { return static_cast<float>(std::tanh(static_cast<double>(x))); }
float functionEx2Ftz(float x) { return flush(functionEx2(flush(x))); }
float functionLg2Ftz(float x) { return flush(functionLg2(flush(x))); }
float functionRsqrtFtz(float x) { return flush(functionRsqrt(flush(x))); }
float functionRcpFtz(float x) { return flush(functionRcp(flush(x))); }
float functionSqrtFtz(float x) { return flush(functionSqrt(flush(x))); }

} // namespace qlr::emu
