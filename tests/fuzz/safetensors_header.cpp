// Reads any bytes as a safetensors file, converts every tensor that can be, and writes what it
// read.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <lora/io/convert.hpp>
#include <lora/io/safetensors/safetensors_header.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lora;
  try {
    const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
    const io::SafetensorsHeader header = io::read_safetensors_header(bytes, "fuzz");
    std::size_t covered = 0;
    for (const auto& [name, view] : header.tensors) {
      covered += view.bytes.size();
      if (!io::is_floating(view.dtype)) continue;
      const std::size_t count = view.bytes.size() * 8 / io::bits_of(view.dtype);
      std::vector<double> numbers(count);
      io::decode(view.bytes.data(), view.dtype, static_cast<Index>(count), numbers.data(), name);
    }
    if (covered > size) std::abort();
  } catch (const FileError&) {
    // What a file deserves that is not one.
  }
  return 0;
}
