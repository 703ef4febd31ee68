#include "runtime/exec/BenchCommand.h"
#include "runtime/exec/Main.h"

int main(int argc, char **argv) {
  return qlr::runMain([&] { return qlr::benchCommandMain(argc, argv); });
}
