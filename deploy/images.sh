#!/bin/sh
# Makes the images of docker-compose.yml on this machine, from Debian's packages and no registry.
#
#   deploy/images.sh [IMAGE...]
#
# IMAGE is debian, rabbitmq, redis or tdfleet; all of them, in this order, when none is named. The
# last three are made on the first. Their names begin with localhost/, so that no registry is ever
# asked for them. docs/docker.md says what to do where one is at hand.
#
#   BASE_IMAGE      what the last three are made on, instead of the first
#   TDFLEET_BINARY  a tdfleet with the sandbox in it, to be taken instead of building one
#   DEBIAN_MIRROR   where debootstrap and apt fetch from, instead of Debian's own
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
debian=localhost/debian:bookworm
base=${BASE_IMAGE:-$debian}

say() { echo "images: $*" >&2; }

fail() {
    say "$*"
    exit 1
}

# Runs a command that says too much; the end of it is shown when it fails.
quietly() {
    "$@" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2 && fail "failed: $*"; }
}

# The smallest Debian with apt, as debootstrap makes it; nothing of this machine stays in it.
make_debian() {
    command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
    [ "$(id -u)" = 0 ] || fail "debootstrap needs root: run this as root, or name the other images"
    tree=$work/debian
    quietly debootstrap --variant=minbase bookworm "$tree" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}
    # The mirror that debootstrap has taken, its own choice unless one was named.
    mirror=$(awk '$1 == "deb" { print $2; exit }' "$tree/etc/apt/sources.list")
    cat >"$tree/etc/apt/sources.list" <<END
deb $mirror bookworm main
deb $mirror bookworm-updates main
deb $mirror-security bookworm-security main
END
    # A container runs one program: packages that are installed start no service.
    printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
    chmod 755 "$tree/usr/sbin/policy-rc.d"
    quietly chroot "$tree" apt-get update
    quietly chroot "$tree" env DEBIAN_FRONTEND=noninteractive apt-get upgrade -y
    chroot "$tree" apt-get clean
    rm -rf "$tree"/var/lib/apt/lists/* "$tree"/var/log/* "$tree/etc/resolv.conf" "$tree/etc/hostname"
    tar -C "$tree" --numeric-owner -c . | docker import - "$debian" >/dev/null
}

# A Debian server: its Dockerfile copies nothing, so it is given an empty context.
make_server() {
    mkdir -p "$work/empty"
    quietly docker build --build-arg "BASE_IMAGE=$base" --tag "localhost/$1:debian" \
        --file "$root/deploy/Dockerfile.$1" "$work/empty"
}

make_tdfleet() {
    binary=${TDFLEET_BINARY:-}
    if [ -z "$binary" ]; then
        command -v cargo >/dev/null || fail "cargo is missing: install Rust, or set TDFLEET_BINARY"
        say "building tdfleet with the sandbox (some minutes the first time)"
        (cd "$root" && cargo build --release --locked -p tdfleet --features sandbox)
        binary=${CARGO_TARGET_DIR:-$root/target}/release/tdfleet
    fi
    "$root/deploy/tdlib.sh"
    mkdir -p "$work/context/.tdlib"
    cp "$root/.tdlib/libtdjson.so.1.8.61" "$work/context/.tdlib/"
    cp "$binary" "$work/context/tdfleet"
    quietly docker build --build-arg "BASE_IMAGE=$base" --build-arg BINARY=tdfleet \
        --build-arg SANDBOX=yes --tag localhost/tdfleet:demo \
        --file "$root/deploy/Dockerfile" "$work/context"
}

command -v docker >/dev/null || fail "docker is missing: apt-get install docker.io docker-compose"
docker version >/dev/null || fail "Docker's engine does not answer, for the reason above"

[ $# -gt 0 ] || set -- debian rabbitmq redis tdfleet
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

for image in "$@"; do
    say "making $image"
    case $image in
    debian) make_debian ;;
    rabbitmq | redis) make_server "$image" ;;
    tdfleet) make_tdfleet ;;
    *) fail "there is no image $image: debian, rabbitmq, redis, tdfleet" ;;
    esac
done
say "done:"
docker image ls 'localhost/*' >&2
