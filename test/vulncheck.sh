#!/usr/bin/env bash
# Runs govulncheck over the whole module. The database comes as a module too, so that the module proxy is all that must be
# reached. Usage: vulncheck.sh DIRECTORY, where tools and the database are kept.
set -euo pipefail

govulncheck=golang.org/x/vuln/cmd/govulncheck@v1.9.0
database=golang.org/x/vulndb@latest

tools=$1/vulncheck
mkdir -p "$tools"
info=$(cd "$tools" && GOFLAGS=-mod=mod go mod download -json "$database")
field() { sed -n "s/^\t\"$1\": \"\(.*\)\",*$/\1/p" <<<"$info"; }
source=$(field Dir) version=$(field Version)

if [ ! -e "$tools/$version/index/db.json" ]; then
	echo "vulnerability database of $version"
	GOBIN=$tools go install "golang.org/x/vulndb/cmd/indexdb@$version"
	rm -rf "$tools/new"
	mkdir "$tools/new"
	"$tools/indexdb" -out "$tools/new" -vulns "$source/data/osv"
	mv "$tools/new" "$tools/$version"
fi
GOBIN=$tools go install "$govulncheck"
"$tools/govulncheck" -db "file://$tools/$version" ./...
