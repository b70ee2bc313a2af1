"""Copies the headers and the guides as Doxygen should read them, for the target `docs`.

    prepare.py PROJECT OUT DOXYGEN

OUT/Doxyfile is there already, and reads the copies OUT/include and OUT/guides. In those of headers,
line for line,

- what only derived classes see is private, so that it is left out;
- what would be a command of Doxygen's or HTML in a comment is escaped: comments are plain text;
- each header has a brief, the first sentence of its first comment, so that it is listed with it;
- what has no comment of its own takes the one beside it (`Index rows;  // of x`), the words of
  vocabulary.txt for its name, or the comment of the function directly above it, whose overload or
  sibling it then is. What is left undocumented fails the build.
"""

import itertools
import os
import pathlib
import re
import subprocess
import sys

CODE_SPAN = re.compile(r"(`+[^`]*`+)")
COMMENT = re.compile(r"^(\s*)///(<?)( ?)(.*)$")
SHARED_NAMESPACE = re.compile(
    r"^namespace lora(::(data|distributed|generation|images|io|kernels|metrics|models|peft|text|train))? {$"
)
UNDOCUMENTED = re.compile(
    r"^(?P<file>.+?):(?P<line>\d+): warning: (?P<kind>Member|Compound) (?P<name>.+) is not documented\.$"
)


def escaped(text: str) -> str:
    """Escapes what Doxygen would not print as it is, except in code between backticks."""
    parts = CODE_SPAN.split(text)
    for i in range(1, len(parts), 2):
        # Doxygen 1.9.4 ends the brief of a comment at the first full stop of `model.<name>.weight`.
        parts[i] = re.sub(r"\.<(\w+)>", lambda match: "." + match[1].upper(), parts[i])
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"([\\@<>*#&]|::)", r"\\\1", parts[i])
        # PEFT's classes are no names of namespace lora.
        parts[i] = re.sub(r"\blora\.(?=[A-Z])", "%lora.", parts[i])
    return "".join(parts)


def plain_comment(line: str) -> str:
    match = COMMENT.match(line)
    if match is None:
        # A comment after code.
        code, mark, text = line.partition("///< ")
        return code + mark + escaped(text) if mark else line
    indent, after, space, text = match.groups()
    if text.startswith("    "):  # a formula or an example
        return line
    return f"{indent}///{after}{space}{escaped(text)}"


def first_sentence(words: list[str]) -> str:
    sentence = re.split(r"(?<=[^.]\.)\s|:$", " ".join(words) + " ")[0]
    return sentence.strip().rstrip(":")


def first_comment(lines: list[str], stem: str) -> str:
    """Returns the first sentence of what a header says of the thing that it is named after, or else
    of the first thing in it."""
    name = stem.replace("_", "")
    sentences, of_function = [], None
    for begin, line in enumerate(lines):
        match = COMMENT.match(line)
        if match is None or match[2] or (begin > 0 and COMMENT.match(lines[begin - 1])):
            continue
        comment = []
        end = begin
        while end < len(lines) and (match := COMMENT.match(lines[end])):
            comment.append(match[4])
            end += 1
        if "" in comment:
            comment = comment[: comment.index("")]
        sentence = first_sentence([words for words in comment if not words.startswith("    ")])
        declaration = itertools.takewhile(str.strip, lines[end : end + 4])
        declared = " ".join(declaration).replace("_", "").lower()
        if re.search(rf"\b(class|struct|concept) {name}\b", declared):
            return sentence
        if of_function is None and re.search(rf"\b{name}\(", declared):
            of_function = sentence
        sentences.append(sentence)
    rest = [words for words in sentences if not re.match("(The s|S)ettings of", words)]
    return of_function or (rest or sentences or [""])[0]


def contents_page(lines: list[str]) -> str:
    """Returns the comment at the top of a page that includes others."""
    words = []
    for line in lines:
        if line.startswith("// "):
            words.append(line[3:])
        elif words:
            break
    return " ".join(words)


def brief_of(lines: list[str], stem: str) -> str:
    return escaped(first_comment(lines, stem) or contents_page(lines))


def prepared(lines: list[str]) -> list[str]:
    prepared = [re.sub(r"^( *)protected:", r"\1private:", plain_comment(line)) for line in lines]
    # What stands above the namespace of many headers is about the header: see brief_of.
    for i, line in enumerate(lines):
        if SHARED_NAMESPACE.match(line):
            while i > 0 and COMMENT.match(lines[i - 1]):
                i -= 1
                prepared[i] = prepared[i].replace("///", "//", 1)
            break
    return prepared


class Vocabulary:
    """The words of vocabulary.txt: `name: text`, `Class.name: text` or `Class.*: text`."""

    def __init__(self, path: pathlib.Path):
        self.words = {}
        for line in path.read_text("utf-8").splitlines():
            if line and not line.startswith("#"):
                name, _, text = line.partition(": ")
                self.words[name] = text

    def text(self, owner: str, name: str) -> str | None:
        for key in (f"{owner}.{name}", name, f"{owner}.*"):
            if key in self.words:
                return self.words[key]
        return None


def name_of(kind: str, what: str) -> tuple[str, str]:
    """Returns the class, without namespaces, and the name of a member that a warning is about."""
    owner = ""
    if kind == "Member":
        match = re.search(r" \((?:function|variable|typedef|friend|enumeration|enumvalue)\) of ", what)
        if match:
            owner = re.sub(r"<.*", "", what[match.end() :].split(" ", 1)[-1]).strip()
            owner = owner.split("::")[-1]
            what = what[: match.start()]
    if "operator" in what:
        name = "operator" + re.search(r"operator\s*(\(\)|[^\s(]+)", what)[1]
    else:
        name = re.split(r"[(<\[]", what)[0].strip().split(" ")[-1].split("::")[-1]
    return owner, name


def undocumented(doxygen: str, doxyfile: pathlib.Path, log: pathlib.Path) -> list[tuple]:
    """Returns what Doxygen finds undocumented: file, line, kind and what it says of the name."""
    settings = doxyfile.read_text("utf-8") + (
        f"\nGENERATE_HTML = NO\nHIDE_UNDOC_CLASSES = NO\nWARN_AS_ERROR = NO\nWARN_LOGFILE = {log}\n"
    )
    subprocess.run([doxygen, "-"], input=settings, text=True, check=True, stderr=subprocess.DEVNULL)
    matches = (UNDOCUMENTED.match(line) for line in log.read_text("utf-8").splitlines())
    return [(m["file"], int(m["line"]), m["kind"], m["name"]) for m in matches if m]


class Header:
    """The lines of a copied header, to which comments are added."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.lines = path.read_text("utf-8").split("\n")
        self.original = list(self.lines)

    def beside(self, line: int) -> str | None:
        """Returns the ordinary comment on or above a line."""
        text = self.original[line]
        match = re.search(r"[;,{] +// (.+)$", text)
        if match:
            return match[1]
        words = []
        while re.match(r" *(template <|requires )", self.original[line - 1]):
            line -= 1
        for above in reversed(self.original[:line]):
            match = re.match(r"^ *// (.+)$", above)
            if not match:
                break
            words.insert(0, match[1])
        return " ".join(words) or None

    def above(self, line: int) -> str | None:
        """Returns the comment of the function that ends on the line above, if it has one."""
        end = line - 1
        indent = re.match(" *", self.original[line])[0]
        if not re.match(r".*[;}]$", self.original[end]):
            return None
        begin = end
        while begin > 0 and self.original[begin - 1].strip() and (
            not self.original[begin].startswith(indent)
            or re.match(rf"^{indent}( |}}|requires )", self.original[begin])
            or not COMMENT.match(self.original[begin - 1])
        ):
            begin -= 1
        words = []
        for text in reversed(self.original[:begin]):
            match = COMMENT.match(text)
            if match is None or match[2]:
                break
            words.insert(0, match[4])
        return "\n".join(words) or None

    def document(self, line: int, name: str, text: str) -> None:
        """Puts a comment before a declaration, or, where that has one, before this name in it."""
        comment = f"/** {text} */ "
        if self.lines[line] == self.original[line]:
            self.lines[line] = comment + self.lines[line]
        else:
            self.lines[line] = re.sub(rf", {name}\b", rf", {comment}{name}", self.lines[line])

    def write(self) -> None:
        self.path.write_text("\n".join(self.lines), "utf-8")


def guide(path: pathlib.Path, folder: pathlib.PurePosixPath) -> str:
    """Returns a guide with links as the reference has them: to headers, other guides and the web;
    of what else the project has, the path is named."""

    def link(match: re.Match) -> str:
        words, target = match[1], match[2]
        if "://" in target or target.startswith("#"):
            return match[0]
        if "/" not in target:
            return f'@ref {target.removesuffix(".md")} "{words}"'
        at = pathlib.PurePosixPath(os.path.normpath(folder / target)).as_posix()
        if at.startswith("include/"):
            words = words.strip("`")
            return f'@ref {at.removeprefix("include/")} "{words}"' if at.endswith(".hpp") else words
        return f"{words} (`{at}`)" if words.strip("`") != at else words

    text = re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", link, path.read_text("utf-8"))
    if path.name == "README.md":
        return text
    title, rest = text.split("\n", 1)
    return f"{title} {{#{path.stem}}}\n{rest}"


def main() -> int:
    project, out, doxygen = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    source, include = project / "include", out / "include"
    briefs = []
    for path in sorted(source.rglob("*.hpp")):
        name = path.relative_to(source)
        lines = path.read_text("utf-8").split("\n")
        (include / name).parent.mkdir(parents=True, exist_ok=True)
        (include / name).write_text("\n".join(prepared(lines)), "utf-8")
        if name.parent.name != "compiled":  # instances of what is documented elsewhere
            briefs.append(f"/** @file {name.as_posix()}\n@brief {brief_of(lines, path.stem)} */\n")
    (include / "files.dox").write_text("".join(briefs), "utf-8")
    (out / "guides").mkdir()
    # Doxygen lists pages by the names of their files: in the order in which README.md names them.
    first_page = (project / "examples/guides/README.md").read_text("utf-8")
    for path in (project / "examples/guides").glob("*.md"):
        text = guide(path, pathlib.PurePosixPath("examples/guides"))
        order = f"{first_page.find(path.name):05}_" if path.name != "README.md" else ""
        (out / "guides" / (order + path.name)).write_text(text, "utf-8")

    vocabulary = Vocabulary(project / "cmake/docs/vocabulary.txt")
    headers, missing = {}, []
    log = out / "undocumented.log"
    for file, line, kind, what in undocumented(doxygen, out / "Doxyfile", log):
        header = headers.setdefault(file, Header(pathlib.Path(file)))
        owner, name = name_of(kind, what)
        text = header.beside(line - 1) or vocabulary.text(owner, name) or header.above(line - 1)
        if text is not None:
            header.document(line - 1, name, text)
        else:
            at = project / "include" / pathlib.Path(file).relative_to(include)
            missing.append(f"{at}:{line}: {what} is not documented")
    for header in headers.values():
        header.write()
    print("\n".join(missing), end="\n" if missing else "")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
