# Empty Debian systems to try things on, each in a folder of its own: sourced by try_readme and
# try_packages. It needs root, and debootstrap.

# within ROOT COMMAND: runs a shell's command there, with nothing of this machine's environment.
within() {
  local proxy=() name
  for name in http_proxy https_proxy no_proxy; do
    if [ -n "${!name:-}" ]; then proxy+=("$name=${!name}"); fi
  done
  chroot "$1" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive ${proxy[@]+"${proxy[@]}"} \
    bash -c "cd /root/lora 2>/dev/null; $2"
}

# make_root RELEASE ROOT: makes the system unless it is there, with /proc, which the caller unmounts.
make_root() {
  local release=$1 root=$2
  if [ ! -e "$root/made" ]; then
    rm -rf "$root"
    debootstrap --variant=minbase "$release" "$root" http://deb.debian.org/debian
    touch "$root/made"
  fi
  cp -L /etc/resolv.conf "$root/etc/resolv.conf"
  mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
}
