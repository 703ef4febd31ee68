#include "runtime/exec/Main.h"
#include "runtime/exec/RunCommand.h"

int main(int argc, char **argv) {
  return qlr::runMain([&] { return qlr::runCommandMain(argc, argv); });
}
