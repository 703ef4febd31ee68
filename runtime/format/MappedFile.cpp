#include "runtime/format/MappedFile.h"
#include "runtime/format/Error.h"

#include <cctype>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace qlr {

MappedFile::MappedFile(MappedFile &&other) noexcept
    : data(std::exchange(other.data, nullptr)), size(std::exchange(other.size, 0)), name(std::move(other.name)) {}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(data, other.data);
  std::swap(size, other.size);
  std::swap(name, other.name);
  return *this;
}

MappedFile::~MappedFile() {
  if (data)
    munmap(const_cast<std::byte *>(data), size);
}

MappedFile MappedFile::open(const std::string &path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    fail({.file = path, .found = std::strerror(errno), .expected = "a readable file"});
  struct stat info{};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd);
    fail({.file = path, .found = "a directory or special file", .expected = "a regular file"});
  }
  MappedFile file;
  file.name = path;
  file.size = static_cast<size_t>(info.st_size);
  // An empty file cannot be mapped; it is an empty span.
  if (file.size != 0) {
    void *map = mmap(nullptr, file.size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
      int code = errno;
      close(fd);
      fail({.file = path, .found = std::string("mmap: ") + std::strerror(code), .expected = "a mappable file"});
    }
    file.data = static_cast<const std::byte *>(map);
  }
  close(fd);
  return file;
}

void refuseImpostor(std::string_view content, const std::string &path) {
  constexpr std::string_view pointer = "version https://git-lfs";
  if (content.substr(0, pointer.size()) == pointer)
    fail({.file = path,
          .found = "a Git LFS pointer",
          .expected = "the file itself",
          .advice = "run `git lfs install && git lfs pull` in the model's directory, or download the file again"});
  size_t start = content.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  if (start == std::string_view::npos)
    return;
  std::string head;
  for (char c : content.substr(start, 14))
    head += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (head.starts_with("<!doctype html") || head.starts_with("<html"))
    fail({.file = path,
          .found = "an HTML page",
          .expected = "the file itself",
          .advice = "the download was answered by a web page (a login or an error): check the address and the access "
                    "token, then download again"});
}

std::string joinPath(const std::string &dir, const std::string &name) {
  if (dir.empty() || dir.back() == '/')
    return dir + name;
  return dir + "/" + name;
}

bool fileExists(const std::string &path) {
  struct stat info{};
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

} // namespace qlr
