#pragma once

namespace qlr {

/// `qlr bench`: the whole program. Throws Error.
int benchCommandMain(int argc, char **argv);

} // namespace qlr
