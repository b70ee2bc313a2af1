#include <lora/io/mapped_file.hpp>

#include <algorithm>

#include <lora/io/atomic_file.hpp>

#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

TEST_CASE("a mapped file shows the file's bytes, and can be moved") {
  const TemporaryDirectory directory;
  write_whole(directory / "f", std::string("a\0b", 3));
  MappedFile file(directory / "f");
  const std::byte* where = file.bytes().data();
  MappedFile moved(std::move(file));
  CHECK(moved.bytes().data() == where);
  CHECK(moved.bytes().size() == 3);
  CHECK(moved.bytes()[2] == std::byte{'b'});
  CHECK(moved.path() == directory / "f");
  write_whole(directory / "g", "xy");
  moved = MappedFile(directory / "g");
  CHECK(moved.bytes()[1] == std::byte{'y'});
}

TEST_CASE("what is not a file with bytes is an error that names it") {
  const TemporaryDirectory directory;
  const auto refused = [&](const std::string& name, const std::string& why) {
    check_throws<FileError>([&] { MappedFile file(directory / name); }, name);
    check_throws<FileError>([&] { MappedFile file(directory / name); }, why);
  };
  write_whole(directory / "empty", "");
  std::filesystem::create_directory(directory / "folder");
  refused("missing", "cannot open: ");
  refused("empty", "is empty");
  refused("folder", "is not a regular file");
}

#ifndef _WIN32  // which does not replace what is mapped
TEST_CASE("a mapped file that is replaced or deleted keeps its bytes") {
  const TemporaryDirectory directory;
  write_file(directory / "f", "old");
  const MappedFile file(directory / "f");
  write_file(directory / "f", "n");
  CHECK(file.bytes().size() == 3);
  CHECK(file.bytes()[2] == std::byte{'d'});
  std::filesystem::remove(directory / "f");
  CHECK(file.bytes()[0] == std::byte{'o'});
}
#endif

#ifndef _WIN32  // where the standard library makes no symbolic links
TEST_CASE("what cannot be looked at is there, and opening it says why") {
  const TemporaryDirectory directory;
  CHECK(!is_there(directory / "missing"));
  write_whole(directory / "f", "x");
  CHECK(is_there(directory / "f"));
  std::filesystem::create_symlink(directory / "loop", directory / "loop");
  CHECK(is_there(directory / "loop"));
  check_throws<FileError>([&] { MappedFile file(directory / "loop"); }, "loop: cannot open");
}
#endif
