#pragma once

namespace qlr {

/// `qlr`: finds the program `qlr-VERB` beside this one and becomes it. Throws Error.
int driverMain(int argc, char **argv);

} // namespace qlr
