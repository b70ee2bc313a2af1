// Writes the C++ blocks of a Markdown file into one program: each in a namespace of its own, their
// includes in front, and a main() that runs the main() of each.
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " README.md output.cpp\n";
    return 2;
  }
  std::ifstream readme(argv[1]);
  std::string includes, line;
  std::vector<std::string> blocks;
  bool inside = false;
  while (std::getline(readme, line)) {
    if (!inside && line == "```cpp") {
      inside = true;
      blocks.emplace_back();
    } else if (inside && line == "```") {
      inside = false;
    } else if (inside && line.starts_with("#include")) {
      includes += line + '\n';
    } else if (inside) {
      blocks.back() += line + '\n';
    }
  }
  if (blocks.empty() || inside) {
    std::cerr << argv[1] << ": no C++ block, or one that does not end\n";
    return 1;
  }
  std::ofstream out(argv[2]);
  out << includes;
  for (std::size_t i = 0; i < blocks.size(); ++i)
    out << "namespace block_" << i << " {\n" << blocks[i] << "}\n";
  out << "int main() {\n";
  for (std::size_t i = 0; i < blocks.size(); ++i)
    if (blocks[i].find("int main()") != std::string::npos)
      out << "  if (block_" << i << "::main() != 0) return 1;\n";
  out << "}\n";
  return out.good() ? 0 : 1;
}
