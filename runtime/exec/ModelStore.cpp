#include "runtime/exec/ModelStore.h"

#include "runtime/exec/Programs.h"
#include "runtime/format/Error.h"
#include "runtime/format/Hash.h"
#include "runtime/format/MappedFile.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace qlr {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytesOf(const std::string &text) { return std::as_bytes(std::span(text)); }

/// What changes when a file does: cheap to ask, and safe because any write moves the change time.
std::string stampOf(const std::string &path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0)
    fail({.file = path, .found = "no such file", .expected = "a file of the model"});
  return path + " " + std::to_string(info.st_size) + " " + std::to_string(info.st_mtim.tv_sec) + "." +
         std::to_string(info.st_mtim.tv_nsec) + " " + std::to_string(info.st_ctim.tv_sec) + "." +
         std::to_string(info.st_ctim.tv_nsec) + " " + std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
}

/// Writes a small file whole or not at all.
void replaceFile(const std::string &path, const std::string &content) {
  std::string temporary = path + "." + std::to_string(getpid()) + ".tmp";
  bool written = (std::ofstream(temporary, std::ios::binary) << content << std::flush).good();
  std::error_code error;
  if (written)
    fs::rename(temporary, path, error);
  if (!written || error) {
    std::remove(temporary.c_str());
    fail({.file = path,
          .found = "a cache folder that cannot be written",
          .expected = "room and permission to write",
          .advice = "set XDG_CACHE_HOME to another folder"});
  }
}

/// The content hash of a large file, from the note in the cache folder when the file has not changed since.
std::string contentHash(const std::string &path) {
  std::string stamp = stampOf(path);
  std::string note = cacheDirectory() + "/hash-" + xxh64Hex(bytesOf(path));
  std::ifstream in(note);
  std::string noted, hash;
  if (std::getline(in, noted) && std::getline(in, hash) && noted == stamp)
    return hash;
  hash = xxh64Hex(MappedFile::open(path).bytes());
  replaceFile(note, stamp + "\n" + hash + "\n");
  return hash;
}

/// The files of a model directory that a compiler may read, sorted.
std::vector<fs::path> modelFiles(const std::string &directory) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(directory, error))
    if (entry.is_regular_file(error) &&
        (entry.path().extension() == ".json" || entry.path().extension() == ".safetensors"))
      files.push_back(entry.path());
  if (error)
    fail({.file = directory, .found = error.message(), .expected = "a readable model directory"});
  std::sort(files.begin(), files.end());
  if (std::none_of(files.begin(), files.end(), [](const fs::path &file) { return file.filename() == "config.json"; }))
    fail({.file = directory, .found = "no config.json", .expected = "a model directory or a .qlr file"});
  return files;
}

/// The compiler's path; `path` is the directory it is needed for.
std::string findCompiler(const std::string &path, const std::string &target) {
  modelFiles(path); // a folder that is no model is named as such before the compiler is looked for
  std::string compiler = programBeside("qlr-compile");
  if (compiler.empty())
    fail({.file = path,
          .found = "a model directory and no qlr-compile beside this program",
          .expected = "a .qlr file, or the compiler installed",
          .advice = "compile it where the compiler is: qlr compile " + path + " --target " + target + " -o MODEL.qlr"});
  return compiler;
}

void compile(const std::string &path, std::vector<std::string> command) {
  int code = runProgram(command);
  if (code != 0)
    fail({.file = path,
          .found = "qlr-compile ended with code " + std::to_string(code),
          .expected = "a compiled model",
          .advice = "its message stands above"});
}

/// The limit of the cache folder in bytes: $QLR_CACHE_GB, else 50 GB.
uint64_t cacheLimit() {
  const char *text = std::getenv("QLR_CACHE_GB");
  if (!text || !*text)
    return 50'000'000'000;
  char *end = nullptr;
  const double gigabytes = std::strtod(text, &end);
  if (*end || !(gigabytes >= 0 && gigabytes <= 1e9))
    fail(
        {.found = std::string("QLR_CACHE_GB=") + text, .expected = "the most gigabytes that compiled models may take"});
  return static_cast<uint64_t>(gigabytes * 1e9);
}

/// Removes the artifacts of the cache folder that were used longest ago until the rest, `keep` included, are `limit`
/// bytes at most. One that runs stays readable to its process. `keep` itself is never removed.
void trimCache(const std::string &keep, uint64_t limit) {
  struct Entry {
    fs::path path;
    fs::file_time_type used;
    uint64_t bytes;
  };
  std::vector<Entry> entries;
  std::error_code error;
  uint64_t total = 0;
  for (const fs::directory_entry &file : fs::directory_iterator(fs::path(keep).parent_path(), error)) {
    if (file.path().extension() != ".qlr" || !file.is_regular_file(error))
      continue;
    Entry entry{file.path(), file.last_write_time(error), file.file_size(error)};
    if (error)
      continue; // another process removed it
    total += entry.bytes;
    if (entry.path != keep)
      entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry &a, const Entry &b) { return a.used < b.used; });
  for (const Entry &entry : entries) {
    if (total <= limit)
      return;
    if (fs::remove(entry.path, error))
      total -= entry.bytes;
  }
}

std::shared_ptr<const Artifact> openDirectory(const std::string &path, const std::string &target) {
  std::string directory = fs::canonical(path).string();
  std::string compiler = findCompiler(path, target);
  std::string artifact = cacheDirectory() + "/" + modelKey(directory, target, compiler) + ".qlr";
  if (fileExists(artifact)) {
    try {
      auto opened = std::make_shared<Artifact>(Artifact::open(artifact));
      std::error_code ignored;
      fs::last_write_time(artifact, fs::file_time_type::clock::now(), ignored); // used now: trimCache takes it last
      return opened;
    } catch (const Error &error) {
      std::fprintf(stderr, "the cached artifact is damaged and is made again: %s\n", error.what());
      std::error_code ignored;
      fs::remove(artifact, ignored);
    }
  }
  const uint64_t limit = cacheLimit();
  std::fprintf(stderr, "compiling %s for %s (once)\n", path.c_str(), target.c_str());
  compile(path, {compiler, directory, "--target", target, "-o", artifact});
  trimCache(artifact, limit);
  return std::make_shared<Artifact>(Artifact::open(artifact));
}

} // namespace

Plan compilePlan(const std::string &path, const std::string &target) {
  std::string compiler = findCompiler(path, target);
  std::string artifact = cacheDirectory() + "/plan-" + std::to_string(getpid()) + ".qlr";
  compile(path, {compiler, path, "--target", target, "--no-weights", "-o", artifact});
  Plan plan = Artifact::open(artifact).plan();
  std::error_code ignored;
  fs::remove(artifact, ignored);
  return plan;
}

std::string cacheDirectory() {
  std::string base;
  if (const char *cache = std::getenv("XDG_CACHE_HOME"); cache && cache[0] == '/')
    base = cache;
  else if (const char *home = std::getenv("HOME"); home && *home)
    base = std::string(home) + "/.cache";
  else
    fail({.found = "neither XDG_CACHE_HOME nor HOME",
          .expected = "one of them, for the cache of compiled models",
          .advice = "or compile to a .qlr file and name that"});
  std::string directory = base + "/qlr";
  std::error_code error;
  fs::create_directories(directory, error);
  if (error)
    fail({.file = directory,
          .found = error.message(),
          .expected = "a folder that can be made",
          .advice = "set XDG_CACHE_HOME to another folder"});
  return directory;
}

std::string modelKey(const std::string &directory, const std::string &target, const std::string &compiler) {
  // The compiler's stamp, not only its version: a rebuilt one may generate other code.
  std::string parts = std::string("qlr " QLR_VERSION "\n") + target + "\n" + stampOf(compiler) + "\n";
  for (const fs::path &file : modelFiles(directory)) {
    parts += file.filename().string() + " ";
    parts += (file.extension() == ".safetensors" ? contentHash(file.string())
                                                 : xxh64Hex(MappedFile::open(file.string()).bytes())) +
             "\n";
  }
  return xxh64Hex(bytesOf(parts));
}

std::shared_ptr<const Artifact> openModel(const std::string &path, const std::string &target) {
  if (fs::is_directory(path))
    return openDirectory(path, target);
  return std::make_shared<Artifact>(Artifact::open(path));
}

} // namespace qlr
