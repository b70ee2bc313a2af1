#!/bin/sh
# Unpacks packages of Debian's into a folder that is there: unpack_debian.sh FOLDER PACKAGE... Needs
# apt-get and dpkg-deb, but not to be root; leaves nothing installed.
set -eu
folder=$1
shift
chmod 755 "$folder"  # apt-get downloads as a user of its own
(cd "$folder" && apt-get download --quiet "$@")
for package in "$folder"/*.deb; do
  dpkg-deb -x "$package" "$folder"
done
