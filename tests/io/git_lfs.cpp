#include <lora/io/git_lfs.hpp>

#include <lora/io/mapped_file.hpp>
#include <lora/io/model_reader.hpp>

#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

TEST_CASE("a Git LFS pointer is refused with what to run, whoever reads it") {
  const std::filesystem::path pointers =
      std::filesystem::path(LORA_GOLDEN_DIR) / "cases/lfs-pointer";
  const std::string says = "is a Git LFS pointer, not the file itself: run `git lfs pull`";
  for (const char* name :
       {"model/model.safetensors", "model/tokenizer.json", "adapter/adapter_model.safetensors"})
    check_throws<FileError>([&] { const MappedFile file(pointers / name); }, says);
  check_throws<FileError>([&] { const ModelReader model(pointers / "model"); },
                          "model.safetensors: " + says);
}

TEST_CASE("what only mentions Git LFS is read") {
  const TemporaryDirectory directory;
  for (const char* text : {"version https://git-lfs.github.com", "v",
                           "a\nversion https://git-lfs."
                           "github.com/spec/v1\n"}) {
    write_whole(directory / "vocab.txt", text);
    CHECK(MappedFile(directory / "vocab.txt").bytes().size() == std::string_view(text).size());
  }
}
