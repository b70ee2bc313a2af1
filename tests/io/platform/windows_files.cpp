#include <lora/io/platform/windows_files.hpp>

#ifdef _WIN32

// After the library's own declarations, which must be the same.
#include <windows.h>

#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

TEST_CASE("the numbers that stand for Windows' names are its own") {
  CHECK(GENERIC_READ == 0x80000000);
  CHECK(GENERIC_WRITE == 0x40000000);
  CHECK((FILE_SHARE_READ | FILE_SHARE_DELETE) == 5);
  CHECK(OPEN_EXISTING == 3);
  CHECK(CREATE_NEW == 1);
  CHECK(FILE_ATTRIBUTE_NORMAL == 0x80);
  CHECK(FILE_TYPE_DISK == 1);
  CHECK(PAGE_READONLY == 2);
  CHECK(FILE_MAP_READ == 4);
  CHECK((MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH) == 9);
  CHECK(INVALID_FILE_SIZE == 0xffffffff);
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
  write_whole(target, "old");
  platform::ReplacingFile file(target, "new");
  check_throws<FileError>([&] { const platform::ReplacingFile second(target, "new"); },
                          "f: cannot create a temporary file beside it");
  file.write(target, std::as_bytes(std::span("text", 4)));
  file.flush(target);
  CHECK(read_whole(target) == "old");
  file.rename(target);
  file.settle(target);
  CHECK(read_whole(target) == "text");
  CHECK(directory.count() == 1);
}

#endif
