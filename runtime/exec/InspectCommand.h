#pragma once

namespace qlr {

/// `qlr inspect`: the whole program. Throws Error.
int inspectCommandMain(int argc, char **argv);

} // namespace qlr
