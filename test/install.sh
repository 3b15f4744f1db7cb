#!/usr/bin/env bash
# Installs what is missing of the things named, quietly, if this is root on a machine with apt-get; else says
# what is missing and goes on, since a test that needs it skips with the reason.
#
#   install.sh THING:PACKAGE[,PACKAGE…] …
#
# THING is a command, or a file if it has a slash; of several packages the first that exists is taken.
# Services that come with a package are not started.
set -euo pipefail

have() {
	case $1 in
	*/*) [ -e "$1" ] ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

missing=()
for need in "$@"; do
	have "${need%%:*}" || missing+=("$need")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	printf 'Missing here (THING:DEBIAN PACKAGE), and what needs it does without: %s\n' "${missing[*]}" >&2
	exit 0
fi

# Debian's way to say that services stay down while packages are installed.
readonly policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi

readonly log=$(mktemp)
quietly() {
	if ! DEBIAN_FRONTEND=noninteractive "$@" </dev/null >"$log" 2>&1; then
		cat "$log" >&2
		return 1
	fi
}

# again tries a command some times: mirrors fail for a moment, and somebody else may be installing.
again() {
	local i
	for i in 1 2 3; do
		if "$@"; then
			return 0
		fi
		printf 'Again, in %s s: %s\n' $((i * 10)) "$*" >&2
		sleep $((i * 10))
	done
	"$@"
}
readonly apt=(apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120)

again quietly "${apt[@]}" update
packages=()
for need in "${missing[@]}"; do
	IFS=, read -ra choices <<<"${need#*:}"
	for choice in "${choices[@]}"; do
		if apt-cache show "$choice" >/dev/null 2>&1; then
			packages+=("$choice")
			break
		fi
	done
done
printf 'Installing %s.\n' "${packages[*]}"
again quietly "${apt[@]}" install -y --no-install-recommends -o Dpkg::Use-Pty=0 "${packages[@]}"
rm -f "$log"
