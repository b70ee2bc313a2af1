// Reads any bytes as a model.safetensors.index.json: whatever it says, the files that it names are
// files of the folder that it stands in.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>

#include <lora/io/model_reader.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lora;
  const std::filesystem::path folder = "/models/one";
  try {
    const auto shards = io::parse_model_index({reinterpret_cast<const char*>(data), size}, "fuzz");
    for (const auto& [tensor, file] : shards) {
      const auto path = (folder / file).lexically_normal();
      if (path.parent_path() != folder || path.filename() != file) std::abort();
      if (file.find('\0') != std::string::npos) std::abort();
    }
  } catch (const FileError&) {
    // What a file deserves that is not one.
  }
  return 0;
}
