// The approximations of the hardware: here the exact value, computed in double and rounded to float. The hardware's
// error (PTX: 2 ulp for ex2, 2^-22.9 relative for rsqrt, 1 ulp for rcp) is not modelled: tests bound it.
#pragma once

#include "runtime/format/EmulatorAbi.h"

namespace qlr::emu {

#define QLR_DECLARE(NAME) float function##NAME(float x);
QLR_EMULATOR_FUNCTIONS(QLR_DECLARE)
#undef QLR_DECLARE

} // namespace qlr::emu
