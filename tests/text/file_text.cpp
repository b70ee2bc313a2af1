#include <lora/text/file_text.hpp>

#include <string>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/whole_file.hpp"

using namespace lora;

TEST_CASE("a mapped file is text as it stands, NUL and all") {
  const test::TemporaryDirectory folder;
  const std::string content("a\0\xFF\r\n", 5);
  test::write_whole(folder / "a.txt", content);
  const io::MappedFile file(folder / "a.txt");
  CHECK(text::text_of(file) == content);
  CHECK(static_cast<const void*>(text::text_of(file).data()) == file.bytes().data());
}
