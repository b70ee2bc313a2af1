"""Writes embedded_digits.hpp from the digits.csv.gz that scikit-learn's package carries.

    pip download --no-deps scikit-learn==1.7.2
    unzip -j scikit_learn-*.whl sklearn/datasets/data/digits.csv.gz
    python3 make_embedded_digits.py digits.csv.gz > embedded_digits.hpp

Needs Python 3 alone. Refuses a file that is not the published one.
"""

import gzip
import hashlib
import sys

SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
BASE_17 = "0123456789abcdefg"

HEAD = """\
#pragma once

// Made by make_embedded_digits.py; not to be edited.
//
// Optical Recognition of Handwritten Digits, the 1,797 test images: E. Alpaydin and C. Kaynak, UCI
// Machine Learning Repository, 1998, https://archive.ics.uci.edu/dataset/80, licence CC BY 4.0
// (https://creativecommons.org/licenses/by/4.0/). Taken from scikit-learn's copy and rewritten:
// the same images in the same order, each pixel (0 to 16) as one base-17 digit.

#include <array>
#include <string_view>

namespace digits {

/// The images: the digit that was written, then its 8 x 8 pixels row by row, each the number of
/// inked dots (0 to 16) of a 4 x 4 square, as one of 0 to 9 and a to g.
inline constexpr std::array<std::string_view, %d> embedded_digits{
"""

TAIL = """\
};

}  // namespace digits
"""


def fnv1a(values):
    """The 64-bit Fowler-Noll-Vo hash of small numbers, which the tests compute too."""
    state = 0xCBF29CE484222325
    for value in values:
        state = (state ^ value) * 0x100000001B3 % 2**64
    return state


def main():
    packed = open(sys.argv[1], "rb").read()
    if hashlib.sha256(packed).hexdigest() != SHA256:
        sys.exit(f"{sys.argv[1]}: not the published file")
    rows = [[round(float(v)) for v in line.split(",")]
            for line in gzip.decompress(packed).decode().split()]
    lines = ['    "' + str(row[64]) + "".join(BASE_17[v] for v in row[:64]) + '",' for row in rows]
    print(HEAD % len(rows) + "\n".join(lines) + "\n" + TAIL, end="")
    print(f"FNV-1a of the file's numbers in order: {fnv1a(v for r in rows for v in r):#x}",
          file=sys.stderr)


main()
