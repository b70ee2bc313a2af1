// Writes a tiny BERT, FOLDER/model, and sentences whose sentiment one of their words says,
// FOLDER/sentences.txt, for programs that are started with them.
#include <filesystem>
#include <fstream>

#include "examples/bert/tiny_model.hpp"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const std::filesystem::path folder = argv[1];
  lora::test::write_tiny_model(folder / "model", {"the", "food", "was", "good", "bad", "very"});
  std::ofstream file(folder / "sentences.txt");
  for (int i = 0; i < 100; ++i)
    file << (i % 5 < 2 ? "the food" : "food") << " was" << (i % 3 == 0 ? " very" : "")
         << (i % 2 == 0 ? " good" : " bad") << '\t' << (i % 2 == 0 ? 1 : 0) << '\n';
  return file.flush() ? 0 : 1;
}
