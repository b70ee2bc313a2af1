#include <lora/io/gguf/gguf_reader.hpp>

#include "io/gguf/gguf_bytes.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

TEST_CASE("a path names a GGUF by its extension") {
  CHECK(io::is_gguf("models/m.gguf"));
  CHECK(!io::is_gguf("models/m"));
  CHECK(!io::is_gguf("gguf"));
}

TEST_CASE("a GGUF file is mapped, and a tensor that it lacks is named with it") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "small.gguf";
  write_whole(path, GgufParts().bytes());
  const GgufReader reader(path);
  CHECK(reader.tensors().size() == 1);
  CHECK(reader.tensor("a").size() == 4);
  check_throws<FileError>([&] { static_cast<void>(reader.tensor("b")); },
                          "small.gguf: tensor \"b\" is missing");
  check_throws<FileError>([&] { GgufReader(directory.path() / "none.gguf"); }, "none.gguf");
}
