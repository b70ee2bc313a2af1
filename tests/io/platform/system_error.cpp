#include <lora/io/platform/system_error.hpp>

#include <cerrno>

#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a system's error names the file, what was tried and why it failed") {
  check_throws<FileError>([] { io::throw_system_error("some/file", "cannot try", ENOENT); },
                          "some/file: cannot try: No such file or directory");
}
