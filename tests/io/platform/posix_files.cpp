#include <lora/io/platform/posix_files.hpp>

#ifndef _WIN32

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

TEST_CASE("a named pipe is refused without waiting for a writer") {
  const TemporaryDirectory directory;
  REQUIRE(::mkfifo((directory / "pipe").c_str(), 0600) == 0);
  check_throws<FileError>([&] { (void)platform::map_file(directory / "pipe"); },
                          "pipe: is not a regular file");
}

TEST_CASE("what leads nowhere cannot be mapped, and the error says why") {
  const TemporaryDirectory directory;
  std::filesystem::create_symlink(directory / "loop", directory / "loop");
  check_throws<FileError>([&] { (void)platform::map_file(directory / "loop"); },
                          "loop: cannot open: Too many levels");
  check_throws<FileError>([&] { (void)platform::map_file(directory / "missing"); },
                          "missing: cannot open: No such file");
}

TEST_CASE("pages that were released are read again") {
  const TemporaryDirectory directory;
  write_whole(directory / "f", std::string(10000, 'x'));
  const auto bytes = platform::map_file(directory / "f");
  CHECK(bytes[9999] == std::byte{'x'});
  platform::release_pages(bytes);
  CHECK(bytes[9999] == std::byte{'x'});
  platform::unmap_file(bytes);
}

TEST_CASE("a file that replaces another stands beside it until then") {
  const TemporaryDirectory directory;
  const auto target = directory / "f";
  platform::ReplacingFile file(target, "new");
  // The name is taken.
  check_throws<FileError>([&] { const platform::ReplacingFile second(target, "new"); },
                          "f: cannot create a temporary file beside it");
  CHECK(std::filesystem::exists(directory / "new"));
  file.write(target, std::as_bytes(std::span("text", 4)));
  file.flush(target);
  file.rename(target);
  file.settle(target);
  CHECK(read_whole(target) == "text");
  CHECK(directory.count() == 1);
}

TEST_CASE(
    "a directory's lock is held by one at a time, and none is needed where there is no directory") {
  const TemporaryDirectory directory;
  const int other = ::open(directory.path().c_str(), O_RDONLY | O_DIRECTORY);
  REQUIRE(other >= 0);
  {
    const platform::DirectoryLock lock(directory.path());
    CHECK(::flock(other, LOCK_EX | LOCK_NB) != 0);
  }
  CHECK(::flock(other, LOCK_EX | LOCK_NB) == 0);
  ::close(other);
  const platform::DirectoryLock nothing(directory / "none");
}

#endif
