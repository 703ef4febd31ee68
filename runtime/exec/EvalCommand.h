#pragma once

namespace qlr {

/// `qlr eval`: the whole program. Throws Error.
int evalCommandMain(int argc, char **argv);

} // namespace qlr
