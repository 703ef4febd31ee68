// From what the user names, an artifact or a model directory, to an artifact.
#pragma once

#include "runtime/format/Artifact.h"

#include <memory>
#include <string>

namespace qlr {

/// Opens the artifact `path`, every byte checked against its hashes; or, where `path` is a directory, compiles it for
/// `target` with the `qlr-compile` beside this program, once: the artifact is kept in the cache folder, under a key
/// made of the content of every file that goes into it, the target, and the compiler. Progress goes to standard error.
/// After a compilation the artifacts used longest ago are removed until the folder's fit $QLR_CACHE_GB (50).
/// Throws Error, also when there is no `qlr-compile`.
std::shared_ptr<const Artifact> openModel(const std::string &path, const std::string &target = "host");

/// The plan of a model directory for `target`, without its weights: compiled by the `qlr-compile` beside this program.
Plan compilePlan(const std::string &directory, const std::string &target);

/// $XDG_CACHE_HOME/qlr, else ~/.cache/qlr; made when missing.
std::string cacheDirectory();

/// The key of a model directory: 16 hex digits. The content of weight files is hashed, and the hash remembered in the
/// cache folder for as long as the file's size, times and inode stay as they are.
std::string modelKey(const std::string &directory, const std::string &target, const std::string &compiler);

} // namespace qlr
