// The program behind tools/gpu-check: parity and speed on a machine with a GPU.
#pragma once

namespace qlr {

int gpuCheckMain(int argc, char **argv);

} // namespace qlr
