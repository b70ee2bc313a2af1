#include <lora/text/load_byte_pair_tokenizer.hpp>

#include <fstream>
#include <string>
#include <vector>

#include <lora/io/gguf/gguf_writer.hpp>

#include "support/byte_tokenizer.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "text/golden_byte_pair.hpp"

using namespace lora;
using namespace lora::text;
using namespace lora::test;

TEST_CASE("a language model's tokenizer comes from its folder or its GGUF") {
  const TemporaryDirectory directory;
  check_throws<FileError>([&] { static_cast<void>(load_byte_pair_tokenizer(directory.path())); },
                          "has no tokenizer.json");
  std::ofstream(directory.path() / "tokenizer.json") << golden_byte_pair_json("gpt2").dump();
  CHECK(!load_byte_pair_tokenizer(directory.path()).encode("ab").ids.empty());

  io::GgufWriter writer;
  writer.set("general.architecture", "llama");
  set_byte_tokenizer(writer);
  writer.write(directory.path() / "model.gguf");
  CHECK(load_byte_pair_tokenizer(directory.path() / "model.gguf").encode("that").ids ==
        std::vector<int>{256, 'a', 't'});
}
