// Writes a tiny GPT-2, FOLDER/model.gguf, and a text, FOLDER/text.txt, for programs that are
// started with them.
#include <filesystem>
#include <fstream>

#include "examples/text_generation/tiny_gpt2.hpp"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  lora::test::TinyGPT2().write_gguf(folder / "model.gguf");
  std::ofstream file(folder / "text.txt");
  for (int i = 0; i < 40; ++i)
    file << "The tower has " << i << " steps, and " << (i % 3 == 0 ? "a bell." : "no bell at all.")
         << "\n\n";
  return file.flush() ? 0 : 1;
}
