#!/bin/sh
# Brings libtdjson to DIRECTORY/libtdjson.so.<version> from a package registry, by its checksum.
#
#   deploy/tdlib.sh [DIRECTORY] [MACHINE]
#
# DIRECTORY defaults to .tdlib beside this folder, MACHINE to this one (x86_64 or aarch64).
# Takes npm's prebuilt package or, where there is no npm or it fails, the copy inside PyPI's
# tdjson wheel. Does nothing when the file is there and intact. docs/tdlib.md tells more.
set -eu

version=1.8.61
directory=${1:-$(cd "$(dirname "$0")/.." && pwd)/.tdlib}
machine=${2:-$(uname -m)}
library=$directory/libtdjson.so.$version

# SHA-256 of the library file itself, not of the package around it.
case $machine in
x86_64 | amd64)
    npm_package=@prebuilt-tdlib/linux-x64-glibc@0.1008061.0
    npm_sum=1525729d63def8a7804197f9ee26c5164e8b6726fcf65780d99db42f1a721a2d
    wheel_platform=manylinux2014_x86_64
    wheel_sum=005ea806bceb950fd44af3c3553277e5331a1dc1ea721db53be27580ab114edf
    ;;
aarch64 | arm64)
    npm_package= # its checksum is not known to us
    npm_sum=
    wheel_platform=manylinux2014_aarch64
    wheel_sum=80388835c97194109c693f93c30fa93b79176a88ba800c4a831572dd95ced823
    ;;
*)
    echo "tdlib: no libtdjson $version is known for $machine: build TDLib $version yourself and name the file in the setting tdlib.library" >&2
    exit 1
    ;;
esac

say() { echo "tdlib: $*" >&2; }

sum_of() { sha256sum "$1" | cut -d ' ' -f 1; }

is_known() {
    sum=$(sum_of "$1")
    [ "$sum" = "$npm_sum" ] || [ "$sum" = "$wheel_sum" ]
}

# Puts $1 in place if its checksum is $2.
install_checked() {
    found=$(sum_of "$1")
    if [ "$found" != "$2" ]; then
        say "the downloaded libtdjson has SHA-256 $found, but $2 is needed: it is not used"
        return 1
    fi
    chmod 644 "$1" && mv -f "$1" "$library" || return 1
    say "libtdjson $version is at $library"
}

from_npm() {
    [ -n "$npm_package" ] || return 1
    command -v npm >/dev/null || return 1
    say "fetching $npm_package with npm (17 MB)"
    (cd "$work" && npm pack --loglevel=error "$npm_package" >/dev/null && tar -xzf ./*.tgz) || return 1
    install_checked "$work/package/libtdjson.so" "$npm_sum"
}

# Debian's python3 may come without pip, and pip under two names.
find_pip() {
    for pip in pip3 pip "python3 -m pip"; do
        if $pip --version >/dev/null 2>&1; then
            echo "$pip"
            return
        fi
    done
    return 1
}

from_wheel() {
    command -v python3 >/dev/null || return 1
    pip=$(find_pip) || return 1
    say "fetching the wheel tdjson==$version with $pip (17 MB)"
    # Always the same wheel, whatever Python this machine has: the library in it is what counts.
    (cd "$work" && $pip download --quiet --disable-pip-version-check --no-deps \
        --only-binary=:all: --implementation cp --python-version 311 --abi cp311 \
        --platform "$wheel_platform" "tdjson==$version" &&
        python3 -m zipfile -e ./*.whl wheel) || return 1
    install_checked "$(echo "$work"/wheel/tdjson.libs/libtdjson-*.so."$version")" "$wheel_sum"
}

if [ -f "$library" ]; then
    if is_known "$library"; then
        exit 0
    fi
    say "$library is damaged or another build: it is fetched anew"
fi

mkdir -p "$directory"
work=$(mktemp -d "$directory/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

if from_npm || from_wheel; then
    exit 0
fi

if find_pip >/dev/null || { [ -n "$npm_package" ] && command -v npm >/dev/null; }; then
    say "libtdjson $version could not be fetched, for the reason above; try again, perhaps later"
else
    say "nothing is here to fetch libtdjson with: apt-get install python3-pip${npm_package:+ (or npm)}, then try again"
fi
say "or build TDLib $version yourself and name the file in the setting tdlib.library"
exit 1
