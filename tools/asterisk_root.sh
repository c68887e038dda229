#!/usr/bin/env bash
# usage: asterisk_root.sh DIR: an installed Asterisk 22 in a folder of its own, for the interop tests. Needs root and debootstrap.
# Debian 12 and 13 have no Asterisk, so it comes from the next release; an existing DIR is kept when it is whole.
set -euo pipefail
root=$1
suite=forky
stamp="Asterisk 22 of $suite, recipe 1"

if [[ $(cat "$root/stamp" 2>/dev/null) == "$stamp" ]] && chroot "$root" asterisk -V 2>/dev/null | grep -q '^Asterisk 22\.'; then
    exit 0
fi

# whatever mirror this machine uses
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 2>/dev/null | head -n 1)
[[ $mirror ]] || { echo "apt has no Debian mirror: see /etc/apt/sources.list" >&2; exit 1; }

new=$root.new
rm -rf --one-file-system "$new"
mkdir -p "$new"
# In a mount namespace of its own, so that no mount is left over whatever happens. Debian 12's debootstrap does not know the
# suite's name: the script is the same for all. A moving suite's Release file may be older than it says it may be.
unshare --mount bash -euo pipefail -s "$suite" "$new" "$mirror" <<'BUILD'
suite=$1 new=$2 mirror=$3
debootstrap --variant=minbase "$suite" "$new" "$mirror" /usr/share/debootstrap/scripts/sid
mountpoint -q "$new/proc" || mount -t proc proc "$new/proc"
printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d" # start no services
chmod +x "$new/usr/sbin/policy-rc.d"
echo 'Acquire::Check-Valid-Until "false";' >"$new/etc/apt/apt.conf.d/99valid-until"
DEBIAN_FRONTEND=noninteractive chroot "$new" apt-get -q install -y --no-install-recommends asterisk asterisk-core-sounds-en-gsm </dev/null
: >"$new/etc/hosts" # for the machine's name, which Asterisk looks up: mounted over by who runs it
rm -rf "$new"/var/cache/apt/archives/*.deb "$new"/var/lib/apt/lists/*
BUILD
version=$(chroot "$new" asterisk -V)
[[ $version == "Asterisk 22."* ]] || { echo "$suite has $version now; the tests and asterisk/ are for 22" >&2; exit 1; }
echo "$stamp" >"$new/stamp"
rm -rf --one-file-system "$root"
mv "$new" "$root"
echo "$version in $root" >&2
