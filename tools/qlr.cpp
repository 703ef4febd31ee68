#include "runtime/exec/Driver.h"
#include "runtime/exec/Main.h"

int main(int argc, char **argv) {
  return qlr::runMain([&] { return qlr::driverMain(argc, argv); });
}
