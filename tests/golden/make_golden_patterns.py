"""Writes io/patterns.json with Python's re, and the table of what its \\w and \\d match.

    python tests/golden/make_golden_patterns.py            # the golden file
    python tests/golden/make_golden_patterns.py --tables   # include/lora/peft/unicode_ranges.hpp

    patterns.json  [pattern, [[name, fullmatch, PEFT's suffix match] ...]] or [pattern, "error"]

It needs Python alone: 3.11.7, whose characters are those of Unicode 14.
"""

import json
import pathlib
import re
import sys
import unicodedata

HERE = pathlib.Path(__file__).parent

NAMES = [
    "", "q", "query", "layer.query", "model.layers.1.self_attn.q_proj", "layers.10.q_proj",
    "model.layers.12.mlp.up_proj", "layer_1", "a.b.c", "aaa", "ab", "abab", "foo", "x.foo", "xfoo",
    "foo.bar", "A-b_c9", "x y", "q.", ".q", "1.2.3", "q+", "a{2}",
    "bert.encoder.layer.0.attention.self.query", "bert.encoder.layer.0.attention.self.key",
    "bert.encoder.layer.0.experts.3.query", "bert.pooler.query",
    "größe", "x.größe", "gro\u0308ße", "层.1.查询", "é", "É", "٣.q", "x\u00a0y", "x²", "a\n", "a\nb", "q\n",
]

PATTERNS = [
    "", "q", "query|q", ".*q_proj", ".*\\.q_proj", ".*(q_proj|up_proj)$", "^q$", "^layers", "foo",
    "^foo", "a*", "a+", "a?", "a{3}", "a{2,}", "a{,2}", "a{1,2}b?", "(ab)+", "(ab){2}", "(?:ab)*",
    "a*?b", "a+?", "a??", "[abc]+", "[^.]*", "[a-c].*", "[]a]*", "[^]a]", "[a-]+b?", "[\\w.]+",
    "\\w+", "\\W", "\\d", "\\d+\\.\\d+\\.\\d+", "\\D+", "\\s", "\\S+", ".*\\s.*", "\\bq\\b",
    ".*\\bq_proj", ".*\\Bproj", "model\\.layers\\.(1|3|5)\\..*", "model\\.layers\\.\\d+\\.mlp\\..*",
    ".*layers\\.(?:[0-9]|1[0-5])\\..*(q|v)_proj", "q\\+", "a\\{2\\}", "(|a)+", "()", "(a|b|)*",
    "((a*)*)*b", "(a*)+", "x{0}", "(^)q", "q($)", "(a|^)b", "\\.q", "q\\.", ".", "..", "[.]q", "\\-",
    "A\\-b_c9", "[A-Z]-[a-z]_c[0-9]", "(?:a|b){2,4}", "a|b|c|foo|x.foo", "(((q)))", "[\\d.]+",
    "[^\\d.]+", "\\t", "a\\Z", "(^)*q", "(?:$)?q",
    # Lookarounds, among them those of two popular trainers.
    "(?=a)", "(?=a)a", "a(?=b)", "a(?=b)b.*", ".*(?=q).*", "(?!q).*", "(?!.*key).*", "(?=.*query)bert.*",
    "(?:(?=a)a)+", "(?=a)*a", "(?=(?:a|b)+$).*", "(?!(?!q)).*", "(?=a(?!b)).*", "(?=)q", "(?!)q", "(?!)",
    ".*(?<=q)uery", ".*(?<!\\.)query", ".*(?<=\\.)query", "(?<=x)foo", "(?<!x)foo", "x(?<=x)foo",
    ".*(?<=layer|query)", ".*(?<=ay|er)", ".*(?<=^)a", "(?<=^)q", "(?<=)q", "(?<!)q", ".*(?<=(?<=a)b)",
    ".*(?<=b(?=a))ab", ".*(?=b(?<=ab))b", ".*(?<=a{2})a", ".*(?<=(?:a|b){2})", "(?<!a)b|a(?<!b)",
    ".*(?<=(?:^)*a)b", "(?=.*\\bq_proj\\b).*", ".*(?<=\\w)", ".*(?!\\w)", "(?=\\w+$)gr.*", "(?<=ö)ße",
    ".*(?<=ö)ße", "(?=[^a])..", "(?!a|b|q)[a-z]+",
    "^(bert(?=\\.).*\\.(query|value))$", "^(bert)(?!.*(output|emb|key|pooler|intermediate)).*(query|value)",
    "(?:.*?(?:encoder|text).*?(?:self|attention|attn).*?\\.(?:query|value))|(?:\\bbert\\.encoder\\."
    "layer\\.[\\d]{1,}(?!.*\\.experts\\.\\d)\\..*?(?:query|value))",
    # Names are text, not bytes; a line's end is one where Python has it.
    "gr\\w+e", "gr..e", "gr.+e", "gr[^a]ße", "gr[ö]ße", "größe", "gr[à-ü]ße", "[\\w.]+", "[^\\W]+", "é|É",
    "[é]", "[^é]", ".{5}", ".{6}", "层\\.\\d\\.查询", "\\d\\.q", ".*\\b查询", "gro\\bße", "gr\\Bo\\w.*", "x\\sy",
    "x\\Sy", "x\\w", "x\\d", "\\é", "\\ü", "\\w+\\s", "a$", "a$\n", "a\n", "a.", "a.b", "[^b]+", "a\\n$", "q$.*",
    "[ö-ß]", "[ß-ö]+", "q\\s",
    # What Python refuses, or what is refused here and has an error named after it.
    "*", "a**", "a++", "(", ")", "(a", "a)", "[", "[a", "[b-a]", "a{2,1}", "\\", "^*", "$+", "\\b?",
    "[\\d-z]", "a|*", "(?P<n>a)", "(?i)a", "(?#c)", "(a)\\1", "\\A", "a{", "{", "\\q", "(?<=a*)b",
    "(?<=a|bc)d", "(?<!a+)b", "(?<=a{1,2})b", "(?<x)b", "(?=a", "(?=a)**", "(?<=(?=a*)b)c", "\\x41", "\\u00e9",
]


def patterns():
    rows = []
    for pattern in PATTERNS:
        try:
            full, end = re.compile(pattern), re.compile(rf"(.*\.)?({pattern})$")
        except re.error:
            rows.append([pattern, "error"])
            continue
        rows.append([pattern, [[name, bool(full.fullmatch(name)), bool(end.match(name))]
                               for name in NAMES]])
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    (HERE / "io" / "patterns.json").write_text(f"[\n{lines}\n]\n")


# ---- Tables ----


def ranges(pattern):
    found = []
    for c in range(0x80, 0x110000):
        if re.fullmatch(pattern, chr(c)):
            if found and found[-1][1] == c - 1:
                found[-1][1] = c
            else:
                found.append([c, c])
    return found


def table(comment, name, pattern):
    cells = [f"{{0x{first:X}, 0x{last:X}}}," for first, last in ranges(pattern)]
    lines, line = [], "   "
    for cell in cells:
        if len(line) + 1 + len(cell) > 100:
            lines.append(line)
            line = "   "
        line += " " + cell
    lines.append(line.rstrip(","))
    return f"/// {comment}\ninline constexpr CodePointRange {name}[] = {{\n" + "\n".join(lines) + "};\n"


def tables():
    version = f"Unicode {unicodedata.unidata_version.removesuffix('.0.0')}"
    text = f"""#pragma once

#include "lora/core/code_point_range.hpp"

namespace lora::peft::detail {{

// The characters beyond ASCII that Python's regular expressions count as parts of words, digits and
// white space: those of {version}, which Python {sys.version.split()[0]} knows. Written by
// tests/golden/make_golden_patterns.py --tables.

"""
    text += table("What \\s matches.", "space_ranges", r"\s") + "\n"
    text += table("What \\d matches.", "digit_ranges", r"\d") + "\n"
    text += table("What \\w matches.", "word_ranges", r"\w")
    text += "\n}  // namespace lora::peft::detail\n"
    (HERE.parents[1] / "include/lora/peft/unicode_ranges.hpp").write_text(text)


if sys.argv[1:] == ["--tables"]:
    tables()
else:
    patterns()
