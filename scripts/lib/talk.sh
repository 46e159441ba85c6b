# shellcheck shell=bash
# How our scripts talk: headlines, remarks and the one way to give up.
#
# Sourced. Colour only on a terminal, and never with NO_COLOR.

if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'
else
    bold='' dim='' red='' plain=''
fi

# headline TEXT: the start of a part.
headline() {
    printf '\n%s%s%s\n' "$bold" "$1" "$plain"
}

# remark TEXT…: talk, on one line.
remark() {
    printf '%s%s%s\n' "$dim" "$*" "$plain"
}

# die TEXT…: says what went wrong and what to do, one argument a line, and ends the script.
die() {
    printf '%serror:%s %s\n' "$red" "$plain" "$1" >&2
    if (($# > 1)); then
        printf '  %s\n' "${@:2}" >&2
    fi
    exit 1
}

# quietly WHAT COMMAND…: runs a command and shows its output only if it fails.
quietly() {
    local what=$1 output
    shift
    if ! output=$("$@" 2>&1); then
        printf '%s\n' "$output" | tail -n 30 >&2
        die "$what failed: $*"
    fi
}

# now_ms: milliseconds since the epoch. EPOCHREALTIME has six decimals after the locale's sign.
now_ms() {
    local micros=${EPOCHREALTIME//[!0-9]/}
    printf '%s' "${micros%???}"
}

# seconds_since MS: the time since then, such as "3.2 s".
seconds_since() {
    local tenths=$((($(now_ms) - $1 + 50) / 100))
    printf '%s.%s s' "$((tenths / 10))" "$((tenths % 10))"
}
