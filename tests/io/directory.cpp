#include <lora/io/directory.hpp>

#include <fstream>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a directory is made with those above it, and may be there") {
  const TemporaryDirectory directory;
  io::make_directory(directory / "a" / "b");
  CHECK(std::filesystem::is_directory(directory / "a" / "b"));
  CHECK_NOTHROW(io::make_directory(directory / "a" / "b"));
  std::ofstream(directory / "file") << "text";
  check_throws<FileError>([&] { io::make_directory(directory / "file" / "c"); },
                          "cannot make the directory");
}
