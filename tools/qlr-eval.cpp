#include "runtime/exec/EvalCommand.h"
#include "runtime/exec/Main.h"

int main(int argc, char **argv) {
  return qlr::runMain([&] { return qlr::evalCommandMain(argc, argv); });
}
