// Checks and times kernels on a GPU: what tools/gpu-check runs.
#include "runtime/cuda/check/GpuCheckCommand.h"
#include "runtime/exec/Main.h"

int main(int argc, char **argv) {
  return qlr::runMain([&] { return qlr::gpuCheckMain(argc, argv); });
}
