# shellcheck shell=bash
# How our scripts write what they found out into a document. Sourced; needs talk.sh and the variable
# root, the directory of the checkout.

: "${root:?is the directory of the checkout}"

# write_between DOCUMENT MARKER TEXT…: writes the texts, with a blank line between them, between the
# lines <!-- MARKER:begin --> and <!-- MARKER:end -->, and prints them.
write_between() {
    local document=$1 begin="<!-- $2:begin -->" end="<!-- $2:end -->" result text
    shift 2
    grep -q "$begin" "$document" || die "$document has no line $begin."
    headline 'Result'
    result=$(mktemp)
    {
        printf '%s\n' "$begin"
        for text in "$@"; do
            [[ $text == "$1" ]] || printf '\n'
            printf '%s\n' "$text"
        done
        printf '%s\n' "$end"
    } >"$result"
    sed '1d;$d' "$result"
    sed -i -e "/$begin/,/$end/{/$end/r $result
d}" "$document"
    rm "$result"
}

# machine: what this runs on, in a line.
machine() {
    local model
    model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
    printf '%s cores (%s), %s, Docker Engine %s' "$(nproc)" "${model:-unknown}" \
        "Linux $(uname -r)" "$(docker version --format '{{.Server.Version}}')"
}

# own_commit: the commit of the checkout, and whether something was changed since.
own_commit() {
    git -C "$root" describe --always --dirty --abbrev=12 2>/dev/null || echo 'an unknown commit'
}
