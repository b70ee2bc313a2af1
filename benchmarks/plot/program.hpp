#pragma once

#include <exception>
#include <fstream>
#include <iostream>
#include <lora/core/error.hpp>
#include <string>
#include <string_view>

namespace lora::bench {

/// Writes a drawing into `file`. Throws FileError.
inline void write_drawing(const std::string& file, std::string_view svg) {
  std::ofstream out(file, std::ios::binary);
  out << svg;
  if (!out.flush()) throw FileError(file + ": cannot be written");
}

/// Calls draw() as the whole work of the program of that name. Returns its exit code: 1 after an
/// exception, whose message is printed.
template <class Draw>
[[nodiscard]] int run_program(std::string_view program, const Draw& draw) {
  try {
    draw();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << program << ": " << error.what() << '\n';
    return 1;
  }
}

/// Does what a program is for that is called as `<program> <input> <drawing.svg>`: writes the
/// drawing that svg_of(file) makes of the first file into the second. Takes main's arguments and
/// what to call the first file, "<results.json>", in a message; returns the exit code.
template <class SvgOf>
[[nodiscard]] int run_program_on_file(std::string_view program, std::string_view input, int argc,
                                      char** argv, const SvgOf& svg_of) {
  return run_program(program, [&] {
    if (argc != 3)
      throw ConfigError(message("there are ", argc - 1, " arguments, expected ", program, " ",
                                input, " <drawing.svg>"));
    write_drawing(argv[2], svg_of(std::string(argv[1])));
  });
}

}  // namespace lora::bench
