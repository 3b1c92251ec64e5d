#!/bin/sh
# Starts the package's one .NET program, found by its runtimeconfig.json; arguments are handed on to it.
set -eu

fail() {
    echo "entrypoint: $*" >&2
    exit 1
}

program=
for config in /app/*.runtimeconfig.json /app/lib/*.runtimeconfig.json; do
    [ -e "$config" ] || continue # a pattern that matched nothing
    [ -z "$program" ] || fail "two programs, $program and ${config%.runtimeconfig.json}.dll; hint: a package holds one"
    program=${config%.runtimeconfig.json}.dll
done
[ -n "$program" ] || fail "no *.runtimeconfig.json in /app or /app/lib: the image holds no framework-dependent .NET package"
[ -e "$program" ] || fail "$program is missing next to its runtimeconfig.json"
command -v dotnet >/dev/null || fail "the base image has no dotnet"

# The program looks for its settings in the working directory. exec: signals reach it, and its exit code is the container's.
cd "${program%/*}"
exec dotnet "$program" "$@"
