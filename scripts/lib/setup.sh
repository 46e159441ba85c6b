# shellcheck shell=bash
# Makes a Debian machine fit to build, test and show Moored. Sourced; needs talk.sh.
#
# Only what is missing is installed, so a second run says and changes nothing. On another
# system, or without root, each function names what a person has to install.

# Everything here talks to one engine, whatever the user's Docker contexts say.
engine_socket=/var/run/docker.sock
export DOCKER_HOST=unix://$engine_socket
unset DOCKER_CONTEXT

# Where we keep the log and the process id of an engine that we started.
engine_run_directory=/run/moored-scripts

# True once this script has started the engine itself.
engine_is_ours=false

# --- packages ---

can_install() {
    [[ $EUID -eq 0 ]] && has apt-get
}

# has COMMAND…: whether all of them can be run.
has() {
    local name
    for name in "$@"; do
        command -v "$name" >/dev/null || return 1
    done
}

# install_packages PURPOSE PACKAGE…: installs them, starting no service that they bring.
install_packages() {
    local purpose=$1
    shift
    can_install || die "$purpose needs software that is not here, and this script can't install it." \
        "It installs packages only as root on Debian. Install yourself: $*"
    remark "Installing for $purpose: $*"
    export DEBIAN_FRONTEND=noninteractive
    quietly 'apt-get update' apt-get update -q
    without_service_start quietly 'apt-get install' \
        apt-get install -q -y --no-install-recommends "$@"
}

# without_service_start COMMAND…: Debian's packages start their services unless
# /usr/sbin/policy-rc.d forbids it. A policy that is there already stays as it is.
without_service_start() {
    local policy=/usr/sbin/policy-rc.d
    if [[ -e $policy ]]; then
        "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    # In a subshell: "quietly" may end it, and the policy must go in any case.
    local code=0
    ("$@") || code=$?
    rm -f "$policy"
    ((code == 0)) || exit "$code"
}

# --- building ---

# setup_build_tools: what `cargo build` needs beside Rust, and Rust's own parts.
setup_build_tools() {
    local missing=() tool
    for tool in gcc make pkg-config git perl curl; do # each is in the package of its name
        has "$tool" || missing+=("$tool")
    done
    # The C library's headers, and its static form for the stand-in image.
    compiles_with_openssl || missing+=(libc6-dev libssl-dev)
    [[ -s /etc/ssl/certs/ca-certificates.crt ]] || missing+=(ca-certificates)
    ((${#missing[@]} == 0)) || install_packages 'building' "${missing[@]}"
    setup_rust
}

compiles_with_openssl() {
    pkg-config --exists openssl 2>/dev/null &&
        printf '#include <stdlib.h>\n' | gcc -E - >/dev/null 2>&1
}

# setup_rust: Rust is the one thing that the user brings; rustup adds its parts.
setup_rust() {
    if ! has cargo && [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
        PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    fi
    has cargo ||
        die 'Rust is not installed.' 'See https://rustup.rs, then run this script again.'
    local missing=()
    cargo fmt --version >/dev/null 2>&1 || missing+=(rustfmt)
    cargo clippy --version >/dev/null 2>&1 || missing+=(clippy)
    ((${#missing[@]} == 0)) && return
    has rustup ||
        die "Rust's ${missing[*]} is not installed, and there is no rustup to add it."
    remark "Adding to Rust: ${missing[*]}"
    quietly 'rustup' rustup component add "${missing[@]}"
}

# --- the engine ---

engine_answers() {
    # The command line's own answer covers the socket's permissions too.
    timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# setup_engine: makes sure that a Docker Engine answers; sets engine_is_ours if we started it.
setup_engine() {
    engine_is_ours=false
    has docker || install_engine
    engine_answers && return
    if [[ -S $engine_socket && ! -w $engine_socket ]]; then
        die "You may not use the engine at $engine_socket." \
            "Run this as root or as a member of the group that owns the socket."
    fi
    [[ $EUID -eq 0 ]] || die "No Docker Engine answers at $engine_socket." \
        'Start yours, or run this script as root: then it installs and starts one.'
    has dockerd iptables || install_engine
    start_engine
}

install_engine() {
    install_packages 'a Docker Engine' docker.io iptables
    # Since Debian 13 the command line is a package of its own.
    has docker || install_packages "the engine's command line" docker-cli
}

start_engine() {
    local log=$engine_run_directory/dockerd.log
    local pid deadline=$((SECONDS + 60))
    (umask 077 && mkdir -p "$engine_run_directory")
    if pid=$(pid_of dockerd /var/run/docker.pid); then
        remark "A Docker Engine (process $pid) is starting or stuck; waiting for it."
        log='the log of that process'
    else
        forget_dead_engine
        remark "Starting a Docker Engine; its log: $log"
        # A process group of its own: Ctrl-C in this script must not stop the engine under it.
        setsid dockerd --host "unix://$engine_socket" >"$log" 2>&1 </dev/null &
        pid=$!
        disown "$pid"
        echo "$pid" >"$engine_run_directory/dockerd.pid"
        engine_is_ours=true
    fi
    until engine_answers; do
        if ! kill -0 "$pid" 2>/dev/null || ((SECONDS >= deadline)); then
            if [[ $engine_is_ours == true ]]; then
                tail -n 15 "$log" >&2
                kill "$pid" 2>/dev/null || true
            fi
            die "The Docker Engine does not answer at $engine_socket." "See $log."
        fi
        sleep 0.3
    done
}

# pid_of NAME FILE: the process id in the file, if that process lives and has this name.
pid_of() {
    local pid
    pid=$(cat "$2" 2>/dev/null) || return 1
    [[ $pid =~ ^[0-9]+$ && $(cat "/proc/$pid/comm" 2>/dev/null) == "$1" ]] || return 1
    printf '%s' "$pid"
}

# forget_dead_engine: an engine that was killed leaves files with process ids. When another
# process has got such an id since, the next engine believes it and refuses to start.
forget_dead_engine() {
    pid_of dockerd /var/run/docker.pid >/dev/null ||
        rm -f /var/run/docker.pid
    pid_of containerd /var/run/docker/containerd/containerd.pid >/dev/null ||
        rm -f /var/run/docker/containerd/containerd.pid
}

# stop_our_engine: stops an engine that a script of ours started, this one or an earlier one.
stop_our_engine() {
    local pid_file=$engine_run_directory/dockerd.pid pid
    pid=$(pid_of dockerd "$pid_file") || return 0
    remark 'Stopping the Docker Engine that was started for this.'
    kill -TERM "$pid"
    for _ in {1..150}; do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.2
    done
    kill -0 "$pid" 2>/dev/null && die "The Docker Engine (process $pid) does not stop."
    rm -rf "$engine_run_directory"
    engine_is_ours=false
}

# tell_how_to_stop_engine: said by scripts that leave an engine of ours running.
tell_how_to_stop_engine() {
    local pid
    pid=$(pid_of dockerd "$engine_run_directory/dockerd.pid") || return 0
    remark "The Docker Engine that was started for this goes on; stop it with: kill $pid"
}

# --- the registry ---

# setup_registry: Debian's registry as a program for the tests, which start their own on a free
# port. Its service stays off: a registry on port 5000 is nothing that a test should leave behind.
setup_registry() {
    has docker-registry && return
    install_packages 'a local image registry' docker-registry
    if [[ -d /run/systemd/system ]]; then
        quietly 'systemctl disable' systemctl disable --now docker-registry
    fi
}

# --- what else the tests talk to ---

# setup_test_programs: a static busybox for images, an ssh server, openssl, shellcheck, nginx and
# Caddy. None of them is left running: the tests start their own.
setup_test_programs() {
    local missing=()
    # The package "busybox" has one that needs the C library.
    [[ $(ldd /bin/busybox 2>&1) == *'not a dynamic executable'* ]] || missing+=(busybox-static)
    [[ -x /usr/sbin/sshd ]] || missing+=(openssh-server)
    has openssl || missing+=(openssl)
    has shellcheck || missing+=(shellcheck)
    ((${#missing[@]} == 0)) || install_packages 'the tests' "${missing[@]}"
    setup_test_proxies
    # sshd wants it; where systemd starts the service, that makes it.
    [[ -d /run/sshd ]] || mkdir -p /run/sshd
}

# setup_test_proxies: the programs alone. Their services stay off, after a boot too: port 80 is
# nothing that a test should take.
setup_test_proxies() {
    local missing=() services=()
    if ! has_program nginx; then
        missing+=(nginx-light)
        services+=(nginx)
    fi
    if ! has_program caddy; then
        missing+=(caddy)
        services+=(caddy)
    fi
    ((${#missing[@]} == 0)) && return
    install_packages 'the tests of proxies' "${missing[@]}"
    if [[ -d /run/systemd/system ]]; then
        quietly 'systemctl disable' systemctl disable --now "${services[@]}"
    fi
}

# has_program NAME: also where only root finds it.
has_program() {
    has "$1" || [[ -x /usr/sbin/$1 ]]
}

# --- what is left behind ---

# remove_from_engine PREFIX: removes the containers, networks, volumes and stand-in images whose
# names begin with PREFIX.
remove_from_engine() {
    local prefix=$1 names name
    names=$(docker ps --all --format '{{.Names}}' --filter "name=^/$prefix")
    # shellcheck disable=SC2086 # a list of names without spaces
    [[ -z $names ]] || docker rm --force --volumes $names >/dev/null
    names=$(docker network ls --format '{{.Name}}' --filter "name=^$prefix")
    for name in $names; do
        remove_network "$name"
    done
    names=$(docker volume ls --format '{{.Name}}' | grep "^$prefix" || true)
    # shellcheck disable=SC2086
    [[ -z $names ]] || docker volume rm $names >/dev/null
    names=$(docker images --format '{{.Repository}}:{{.Tag}}' --filter label=dev.moored.standin=1 |
        grep -E "^([^/]+/)*$prefix" || true)
    # shellcheck disable=SC2086
    [[ -z $names ]] || docker rmi --force $names >/dev/null
    # Those that lost their name to a newer one.
    docker image prune --force --filter label=dev.moored.standin=1 >/dev/null
}

# remove_network NAME: the engine at times keeps a network "with active endpoints" of containers
# that are gone (moby/moby#42119); they have to be disconnected by name first.
remove_network() {
    local endpoint
    docker network rm "$1" >/dev/null 2>&1 && return
    for endpoint in $(docker network inspect --format '{{range .Containers}}{{.Name}} {{end}}' "$1" 2>/dev/null); do
        docker network disconnect --force "$1" "$endpoint" 2>/dev/null || true
    done
    docker network rm "$1" >/dev/null 2>&1 ||
        remark "The engine keeps the network $1, which nothing uses any more (moby/moby#42119);" \
            "a restart of the engine lets it go."
}
