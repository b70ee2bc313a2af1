#!/bin/sh
# Brings two texts from Debian's packages into a folder: get_texts.sh [FOLDER]. Needs apt-get and
# dpkg-deb, but not to be root; leaves nothing installed.
#   jargon.txt      the Jargon File 4.4.7 (jargon-text, public domain)
#   literature.txt  quotations from books (fortunes-min)
set -eu
folder=${1:-texts}
if [ -e "$folder/literature.txt" ]; then
  echo "$folder: is there already"
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$(dirname "$0")/../support/unpack_debian.sh" "$work" jargon-text fortunes-min
mkdir -p "$folder"
gzip -dc "$work/usr/share/doc/jargon-text/jargon.txt.gz" > "$folder/jargon.txt"
grep -v '^%$' "$work/usr/share/games/fortunes/literature" > "$folder/literature.txt"
echo "$folder: jargon.txt, literature.txt"
