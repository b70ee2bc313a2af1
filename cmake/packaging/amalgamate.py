#!/usr/bin/env python3
"""Makes one header of a contents page and everything that it includes, for whoever cannot install.

    cmake/packaging/amalgamate.py lora/lora.hpp -o lora.hpp  # needs Eigen alone
    cmake/packaging/amalgamate.py lora/lora.hpp lora/io.hpp lora/train.hpp -o lora_io.hpp  # and JSON

Each file's text stands once, before whatever includes it. Several such headers may meet in one
program: each text has a guard. lora::compiled is a library, so what is for it is left out.
"""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'#include "(lora/[^"]+)"')
# The pages' includes of what lora::compiled declares.
COMPILED = re.compile(r"^#ifdef LORA_COMPILED\n(?:#include .*\n)*#endif\n", re.M)


class Amalgam:
    def __init__(self, include):
        self.include = include
        self.seen = set()
        self.parts = []

    def add(self, name):
        if name in self.seen:
            return
        self.seen.add(name)
        text, pragmas = re.subn(r"^#pragma once\n", "", (self.include / name).read_text(), flags=re.M)
        if pragmas != 1:
            sys.exit(f"{name}: expected one #pragma once, found {pragmas}")
        lines, depth = [], 0
        for line in COMPILED.sub("", text).splitlines():
            if re.match(r"#\s*if", line):
                depth += 1
            elif re.match(r"#\s*endif", line):
                depth -= 1
            found = INCLUDE.match(line)
            if not found:
                lines.append(line)
            elif depth == 0:
                self.add(found.group(1))
            else:
                # One text cannot be there for some and not for others.
                sys.exit(f"{name}: includes {found.group(1)} under a condition")
        body = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
        if body:
            guard = "LORA_ONE_HEADER_" + re.sub(r"\W", "_", name)
            self.parts.append(f"// {name}\n#ifndef {guard}\n#define {guard}\n{body}\n#endif\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", nargs="+", help="as a program includes it: lora/lora.hpp")
    parser.add_argument("-o", "--output", required=True, type=pathlib.Path)
    parser.add_argument("--include", default=ROOT / "include", type=pathlib.Path)
    arguments = parser.parse_args()

    version = re.search(r"project\(lora\s+VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())
    amalgam = Amalgam(arguments.include)
    for page in arguments.page:
        amalgam.add(page)
    head = [f"lora {version.group(1)}: {', '.join(arguments.page)} and what they include, in one header",
            "made by cmake/packaging/amalgamate.py. Compile with -std=c++20 and Eigen's headers.", ""]
    head += (ROOT / "LICENSE").read_text().strip().splitlines()
    text = "\n".join(f"// {line}".rstrip() for line in head)
    text += "\n#pragma once\n#ifdef LORA_COMPILED\n"
    text += '#error "lora::compiled goes with the headers as they are, not with one header"\n#endif\n\n'
    arguments.output.write_text(text + "\n".join(amalgam.parts))


if __name__ == "__main__":
    main()
