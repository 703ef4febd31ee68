// The table that kernels call through.
#pragma once

#include "runtime/format/EmulatorAbi.h"

namespace qlr::emu {

/// Fills `operations` (emulatorOpCount of them). Without `checks`, announcements of accesses do nothing.
void fillOperations(void **operations, bool checks);

} // namespace qlr::emu
