#pragma once

namespace qlr {

/// `qlr run`: the whole program. Throws Error.
int runCommandMain(int argc, char **argv);

} // namespace qlr
