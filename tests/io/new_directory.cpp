#include <lora/io/new_directory.hpp>

#include <lora/io/atomic_file.hpp>

#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

namespace fs = std::filesystem;

TEST_CASE("a directory appears when all of it is written, or not at all") {
  const TemporaryDirectory directory;
  const fs::path target = directory / "deep" / "new";
  {
    const NewDirectory made(target);
    write_file(made.path() / "a", "text");
  }
  CHECK(fs::is_empty(directory / "deep"));
  NewDirectory made(target / "");
  write_file(made.path() / "a", "text");
  CHECK_FALSE(fs::exists(target));
  made.commit();
  CHECK(fs::exists(target / "a"));
  CHECK(std::distance(fs::directory_iterator(directory / "deep"), {}) == 1);
}

TEST_CASE("an empty directory is taken, a file and a full directory are not") {
  const TemporaryDirectory directory;
  fs::create_directory(directory / "empty");
  NewDirectory made(directory / "empty");
  write_file(made.path() / "a", "text");
  made.commit();
  CHECK(fs::exists(directory / "empty" / "a"));
  for (const char* taken : {"empty", "empty/a"})
    check_throws<FileError>([&] { const NewDirectory again(directory / taken); },
                            "is there already and is not an empty directory");
}
