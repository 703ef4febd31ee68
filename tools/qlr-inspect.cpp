#include "runtime/exec/InspectCommand.h"
#include "runtime/exec/Main.h"

int main(int argc, char **argv) {
  return qlr::runMain([&] { return qlr::inspectCommandMain(argc, argv); });
}
