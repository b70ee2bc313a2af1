#!/bin/sh
# Brings Fashion-MNIST (70,000 grey images of 28 x 28 pixels, ten classes; Expat licence) from
# Debian's package dataset-fashion-mnist into a folder: get_images.sh [FOLDER]. Needs apt-get and
# dpkg-deb, but not to be root; leaves nothing installed.
set -eu
folder=${1:-fashion-mnist}
if [ -e "$folder/t10k-labels-idx1-ubyte" ]; then
  echo "$folder: is there already"
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$(dirname "$0")/../support/unpack_debian.sh" "$work" dataset-fashion-mnist
mkdir -p "$folder"
for name in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do
  gzip -dc "$(find "$work" -name "$name-ubyte.gz")" > "$folder/$name-ubyte"
done
echo "$folder: Fashion-MNIST"
