// Writes the C++ blocks of Markdown files into one program: each in a namespace of its own, their
// includes in front, and a main() that runs the main() of each.
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: " << argv[0] << " output.cpp README.md ...\n";
    return 2;
  }
  std::string includes, line;
  std::vector<std::string> blocks;
  for (int file = 2; file < argc; ++file) {
    std::ifstream markdown(argv[file]);
    bool inside = false;
    while (std::getline(markdown, line)) {
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
    if (!markdown.eof() || inside) {
      std::cerr << argv[file] << ": cannot be read, or has a C++ block that does not end\n";
      return 1;
    }
  }
  if (blocks.empty()) {
    std::cerr << "there is no C++ block\n";
    return 1;
  }
  std::ofstream out(argv[1]);
  out << includes;
  for (std::size_t i = 0; i < blocks.size(); ++i)
    out << "namespace block_" << i << " {\n" << blocks[i] << "}\n";
  // Which block failed is said by its number.
  out << "#include <cstdio>\nint main() {\n";
  for (std::size_t i = 0; i < blocks.size(); ++i)
    if (blocks[i].find("int main()") != std::string::npos)
      out << "  if (block_" << i << "::main() != 0) return std::puts(\"block " << i
          << " failed\"), 1;\n";
  out << "}\n";
  return out.good() ? 0 : 1;
}
