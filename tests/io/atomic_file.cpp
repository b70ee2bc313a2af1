#include <lora/io/atomic_file.hpp>

#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

TEST_CASE("a file is replaced by commit and by nothing else") {
  const TemporaryDirectory directory;
  const auto path = directory / "f";
  write_file(path, "old");
  {
    AtomicFile abandoned(path);
    abandoned.write("half of what was to com");
    abandoned.flush();
    CHECK(read_whole(path) == "old");
    CHECK(directory.count() == 2);
  }
  CHECK(read_whole(path) == "old");
  CHECK(directory.count() == 1);  // the temporary is gone

  AtomicFile file(path);
  file.write("new ");
  CHECK(read_whole(path) == "old");
  file.write("text");
  file.commit();
  CHECK(read_whole(path) == "new text");
  CHECK(directory.count() == 1);
}

TEST_CASE("two that write one file do not mix") {
  const TemporaryDirectory directory;
  AtomicFile one(directory / "f"), two(directory / "f");
  one.write("one");
  two.write("two");
  two.commit();
  CHECK(read_whole(directory / "f") == "two");
  one.commit();
  CHECK(read_whole(directory / "f") == "one");
  CHECK(directory.count() == 1);
}

TEST_CASE("a file that cannot be written is an error that names it") {
  const TemporaryDirectory directory;
  check_throws<FileError>([&] { AtomicFile file(directory / "none" / "f"); }, "f: cannot");
  std::filesystem::create_directories(directory / "folder" / "inside");
  check_throws<FileError>([&] { write_file(directory / "folder", "text"); },
                          "folder: is not a regular file");
  CHECK(directory.count() == 1);
}

TEST_CASE("files that belong together are renamed, and then committed") {
  const TemporaryDirectory directory;
  write_file(directory / "f", "old");
  AtomicFile file(directory / "f");
  file.write("new");
  file.rename();
  CHECK(read_whole(directory / "f") == "new");
  CHECK(directory.count() == 1);
  file.commit();
  CHECK(read_whole(directory / "f") == "new");
}

TEST_CASE("what a killed writer left disturbs none") {
  const TemporaryDirectory directory;
  write_file(directory / AtomicFile::temporary_name(), "half of wh");
  write_file(directory / "f", "text");
  CHECK(read_whole(directory / "f") == "text");
  CHECK(directory.count() == 2);
}

#ifndef _WIN32  // where the standard library makes no symbolic links
TEST_CASE("no device is replaced, be it behind a link") {
  const TemporaryDirectory directory;
  std::filesystem::create_symlink("/dev/null", directory / "link");
  check_throws<FileError>([&] { write_file(directory / "link", "text"); },
                          "link: is not a regular file");
  CHECK(std::filesystem::is_symlink(directory / "link"));
  CHECK(directory.count() == 1);
}
#endif
