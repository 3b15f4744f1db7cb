#!/usr/bin/env bash
# Fetches Debian's kernel package and unpacks it, without installing it: neither /boot nor /lib of this machine change.
#
#   fetch.sh DIRECTORY [META-PACKAGE]
#
# DIRECTORY becomes a symbolic link to the unpacked package, beside it. What was fetched before is kept and used, so this
# asks the network only when Debian has a newer kernel. Needs apt-get, dpkg-deb, xz and depmod, no root.
set -euo pipefail

readonly link=$1 meta=${2:-linux-image-cloud-$(dpkg --print-architecture)}

package=$(apt-cache depends --no-recommends --no-suggests "$meta" | awk '$1 == "Depends:" && /linux-image-/ {print $2; exit}')
[ -n "$package" ] || { echo "apt knows no kernel package by way of $meta" >&2; exit 1; }
readonly package
readonly dir=$(dirname "$link")/$package

if [ ! -e "$dir" ]; then
	mkdir -p "$(dirname "$link")"
	tmp=$(mktemp -d "$dir.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	chmod 755 "$tmp" # apt's own user reads and writes there
	(cd "$tmp" && apt-get download -qq -o APT::Sandbox::User=root "$package")
	dpkg-deb -x "$tmp"/*.deb "$tmp/root"
	find "$tmp/root/lib/modules" -name '*.ko.xz' -exec xz -d {} + # Debian compresses them since 6.12; the guest's modprobe knows no xz
	depmod -b "$tmp/root" "$(ls "$tmp/root/lib/modules")"
	mv -T "$tmp/root" "$dir"
fi
ln -sfnT "$package" "$link"
