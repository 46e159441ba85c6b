# shellcheck shell=bash
# Images of the stand-in application (tests/standin) without any registry. Sourced; needs
# talk.sh and the variable root, the directory of the checkout.

: "${root:?is the directory of the checkout}"

# build_standin: compiles the program once, into target/standin. A new source compiles it again.
build_standin() {
    local source=$root/tests/standin directory=$root/target/standin
    local program=$directory/standin
    [[ -x $program && -z $(find "$source" -newer "$program") ]] && return
    mkdir -p "$directory"
    # Under another name first: two scripts at once must not see half a program.
    quietly 'rustc' rustc --edition 2024 -O -C target-feature=+crt-static -C panic=abort \
        -C strip=symbols -o "$program.$$" "$source/main.rs"
    mv "$program.$$" "$program"
}

# standin_image NAME:TAG [VERSION]: makes an image of it; VERSION (default TAG) is what it tells.
# An image that is there already stays: importing again would give the same bytes another id.
standin_image() {
    local image=$1 version=${2:-${1##*:}} content
    build_standin
    content=$(sha256sum "$root/target/standin/standin")
    content=${content%% *}-$version
    [[ $(docker image inspect --format \
        '{{index .Config.Labels "dev.moored.standin.content"}}' "$image" 2>/dev/null) != "$content" ]] ||
        return 0
    tar --create --directory "$root/target/standin" --owner=0 --group=0 --numeric-owner \
        --mode=0755 --mtime=@0 standin |
        docker import \
            --change 'ENTRYPOINT ["/standin"]' \
            --change "ENV APP_VERSION=$version" \
            --change 'EXPOSE 8080' \
            --change 'LABEL dev.moored.standin=1' \
            --change "LABEL dev.moored.standin.content=$content" \
            - "$image" >/dev/null
}
