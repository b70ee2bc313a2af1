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
                          "folder: cannot put the new file in its place");
  CHECK(directory.count() == 1);
}
