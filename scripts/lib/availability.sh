# shellcheck shell=bash
# What visitors notice when a service behind nginx gets a new tag. Sourced by scripts/bench; needs
# what that has: bench, place, rounds, samples, timed, median, …
#
# Each way gets a fresh project: the stand-in application, and nginx in a container before it that
# publishes a port. While eight connections ask for it without a pause (tests/bench/load.rs), the
# tag becomes v2 in that way:
#
#   compose       `docker-compose up -d`; nginx asks the engine's name server again after a second
#   recreate      `moored reconcile` with the strategy `recreate`
#   blue-green    `moored reconcile` with the strategy `blue-green`
#
# Beside them, in the same round, the engine alone stops and starts a container of the application.

: "${bench:?}" "${place:?}" "${rounds:?}" "${tools:?}" "${moored:?}" "${compose:?}" "${floor:?}"
: "${load:?}" "${engine_socket:?}"

ways=(compose recreate blue-green)
readonly availability_port=18480
readonly availability_url=http://127.0.0.1:$availability_port/

# Compose, if it can't be had.
declare -A left_out=()

# measure_availability: all rounds; the samples are in samples["FIGURE 1 WAY"].
measure_availability() {
    local round way
    standin_image "$bench-app:v1"
    standin_image "$bench-app:v2"
    proxy_image "$bench-nginx:1"
    [[ " ${tools[*]} " == *' compose '* ]] || left_out[compose]=1
    for ((round = 0; round < rounds; round++)); do
        headline "Availability, round $((round + 1)) of $rounds"
        engine_alone "$round"
        for way in $(rotated "$round" "${ways[@]}"); do
            [[ -n ${left_out[$way]:-} ]] || new_tag "$way"
        done
    done
}

# engine_alone ROUND: how long the engine takes to stop and start the application.
engine_alone() {
    local project=$bench-alone-$1 micros
    timed "$floor" up "$project" "$bench-app:v1" 1
    timed "$floor" bounce "$project"
    # It tells its own time, in milliseconds with three decimals.
    micros=$(tr -d . <"$place/output")
    samples['gap 1 engine']+="$((10#$micros)) "
    remark "engine alone: stop and start in $(last_of gap engine 1)"
    remove_from_engine "$project"
}

# new_tag WAY: one project from its first start to its removal.
new_tag() {
    local way=$1 project
    project=$bench-$way-$round
    write_site "$way" "$project"
    # shellcheck disable=SC2046 # words of a command
    timed $(site_command "$way" "$project")
    wait_for_site v1
    site_bump "$way"
    # shellcheck disable=SC2046 # words of a command
    timed "$load" "$availability_url" $(site_command "$way" "$project")
    note_visitors "$way" "$project"
    remove_from_engine "$project"
}

# site_command WAY PROJECT: what converges the project, in words without spaces.
site_command() {
    case $1 in
        compose) printf '%s\n' "$compose" --project-name "$2" --file "$place/$1/state/compose.yaml" up -d --quiet-pull ;;
        *) printf '%s\n' "$moored" --config "$place/$1/config.yaml" reconcile ;;
    esac
}

wait_for_site() {
    local deadline=$((SECONDS + 30))
    until curl --silent --max-time 2 "$availability_url" | grep -q "\"version\":\"$1\""; do
        ((SECONDS < deadline)) || die "Nothing of version $1 answers at $availability_url."
        sleep 0.1
    done
}

# note_visitors WAY PROJECT: adds samples from what the visitors have told.
note_visitors() {
    local way=$1 requests failed gap took crossed versions download
    read -r requests failed gap took crossed versions download <"$place/output"
    wait_for_site v2
    [[ $versions == v1,v2 ]] ||
        die "In the way $way the visitors saw the versions $versions."
    samples["requests 1 $way"]+="$requests "
    samples["failed 1 $way"]+="$failed "
    samples["gap 1 $way"]+="$gap "
    samples["took 1 $way"]+="$took "
    samples["cut 1 $way"]+="$([[ $download == whole ]] && echo 0 || echo 1) "
    remark "$(printf '%-10s %d requests, %d failed, longest gap %s, took %s; %d sent again, download %s' \
        "$way" "$requests" "$failed" "$(last_of gap "$way" 1)" "$(last_of took "$way" 1)" \
        "$crossed" "$download")"
}

# --- what the ways are given ---

# write_site WAY PROJECT
write_site() {
    local way=$1 project=$2 directory=$place/$1
    rm -rf "$directory"
    mkdir -p "$directory/state/nginx"
    cat >"$directory/state/compose.yaml" <<YAML
services:
  web:
    image: $bench-app:v1
  proxy:
    image: $bench-nginx:1
    depends_on: [web]
    ports: ["127.0.0.1:$availability_port:80"]
    volumes: ["./nginx:/etc/nginx/conf.d:ro"]
YAML
    site_conf "$way" >"$directory/state/nginx/site.conf"
    [[ $way != compose ]] || return 0
    cat >"$directory/state/moored.yaml" <<YAML
stack: $project
soak: 0s
compose: [compose.yaml]
images:
  web: $bench-app:v1
proxy:
  nginx:
    service: proxy
    configs: {nginx/site.conf: /etc/nginx/conf.d/site.conf}
    marker: /__moored
strategy: {web: $way}
YAML
    cat >"$directory/config.yaml" <<YAML
repository:
  url: $directory/state
  branch: main
state_dir: $directory/moored
engine: unix://$engine_socket
YAML
    git init --quiet --initial-branch=main "$directory/state"
    commit "$directory/state" 'web at v1'
}

# site_conf WAY: the same server, and the way that its nginx learns of a new address.
site_conf() {
    local upstream=web before='' marker=''
    if [[ $1 == compose ]]; then
        # shellcheck disable=SC2016 # a variable of nginx
        upstream='$backend'
        # shellcheck disable=SC2016
        before='resolver 127.0.0.11 valid=1s; set $backend web:8080;'
    else
        printf 'upstream web { server @moored.web:8080@; }\n'
        marker='location = /__moored { return 200 "@moored.marker@"; }'
    fi
    cat <<NGINX
server {
    listen 80;
    access_log off;
    $marker
    location / {
        $before
        proxy_pass http://$upstream;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_buffering off;
        proxy_connect_timeout 100ms;
    }
}
NGINX
}

# site_bump WAY: writes the tag v2.
site_bump() {
    local state=$place/$1/state
    case $1 in
        compose) sed -i "s/$bench-app:v1/$bench-app:v2/" "$state/compose.yaml" ;;
        *)
            sed -i "s/web: $bench-app:v1/web: $bench-app:v2/" "$state/moored.yaml"
            commit "$state" 'web: v2'
            ;;
    esac
}

# --- the result ---

availability_table() {
    local way
    # shellcheck disable=SC2016 # the marks of Markdown
    local -A titles=([compose]='`docker compose up -d`' [recreate]='Moored, `recreate`'
        [blue-green]='Moored, `blue-green`')
    printf '| a new tag behind nginx, under load | requests | failed | longest gap | the command took | download cut off |\n'
    printf '|---|--:|--:|--:|--:|--:|\n'
    for way in "${ways[@]}"; do
        printf '| %s | %s | %s | %s | %s | %s |\n' "${titles[$way]}" "$(counted requests "$way")" \
            "$(range failed "$way")" "$(shown "$(median gap 1 "$way")")" \
            "$(shown "$(median took 1 "$way")")" "$(times_cut "$way")"
    done
    printf '| the engine alone: stop, start | — | — | %s | — | — |\n' "$(shown "$(median gap 1 engine)")"
}

# counted FIGURE WAY: the median, as a number.
counted() {
    local middle
    middle=$(median "$1" 1 "$2")
    printf '%s' "${middle:-—}"
}

# range FIGURE WAY: the least and the most of all rounds.
range() {
    local sorted
    mapfile -t sorted < <(tr ' ' '\n' <<<"${samples["$1 1 $2"]:-}" | grep . | sort -n)
    case ${#sorted[@]} in
        0) printf '—' ;;
        *)
            printf '%s' "${sorted[0]}"
            [[ ${sorted[0]} == "${sorted[-1]}" ]] || printf '–%s' "${sorted[-1]}"
            ;;
    esac
}

# times_cut WAY: in how many of the rounds.
times_cut() {
    local all=${samples["cut 1 $1"]:-} count
    count=$(tr -cd 1 <<<"$all" | wc -c)
    if [[ -z $all ]]; then printf '—'; else printf '%s of %s' "$count" "$(wc -w <<<"$all")"; fi
}
