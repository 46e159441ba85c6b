# shellcheck shell=bash
# Images of real programs without any registry: PostgreSQL, nginx, Caddy, Redis, and the stand-in
# application with `sqlite3` and `psql` beside it, all of Debian's packages. Sourced; needs talk.sh,
# setup.sh, standin.sh and the variable root, the directory of the checkout.
#
#   build_images                          makes what the functions below need, once
#   database_image NAME:TAG               PostgreSQL; starts as the official image does
#   proxy_image NAME:TAG                  nginx; sites in /etc/nginx/conf.d/*.conf
#   redis_image NAME:TAG                  Redis; keeps its data in /data
#   caddy_image NAME:TAG                  Caddy; its configuration is /etc/caddy/Caddyfile
#   ledger_image NAME:TAG [ENV=VALUE…]    the stand-in's ledger; APP_VERSION is TAG unless given
#
# The packages are unpacked, never installed; target/images has a layer for each kind of image.
# The engine keeps one image of each as `moored-standin:KIND-…`; the functions give it a name, or
# put the application on top. The bytes depend on the content alone, so the ids do too.

: "${root:?is the directory of the checkout}"

# The layers, their digests, and the lock of those who make them.
images_directory=$root/target/images

# The repository of the images that stay.
standin_repository=moored-standin

# What there are layers of.
image_kinds=(postgres nginx caddy redis ledger)

# What the layers are made by: when one of these changes, they are made again.
image_recipes=("$root/scripts/lib/images.sh" "$root/scripts/lib/postgres-entrypoint.sh")

# build_images: makes the layers and the images that stay in the engine.
build_images() {
    local kind
    build_standin
    for kind in "${image_kinds[@]}"; do
        base_image "$kind" >/dev/null
    done
}

# database_image NAME:TAG: PostgreSQL. POSTGRES_USER, POSTGRES_DB and POSTGRES_PASSWORD mean what
# they mean to the official image; without a password anybody may connect.
database_image() {
    local base
    base=$(base_image postgres) || exit
    docker tag "$base" "$1"
}

# proxy_image NAME:TAG: nginx in the foreground, with its logs on stdout and stderr.
proxy_image() {
    local base
    base=$(base_image nginx) || exit
    docker tag "$base" "$1"
}

# caddy_image NAME:TAG: Caddy in the foreground. Its programming interface is where it is by
# default: on localhost:2019 of the container.
caddy_image() {
    local base
    base=$(base_image caddy) || exit
    docker tag "$base" "$1"
}

# redis_image NAME:TAG: Redis, with redis-cli in it. Writes its data when it is told to stop, as the
# official image does.
redis_image() {
    local base
    base=$(base_image redis) || exit
    docker tag "$base" "$1"
}

# ledger_image NAME:TAG [ENV=VALUE…]: the stand-in application that keeps its data in a real
# database. Each name has a layer of its own, so that a pull has something to pull.
ledger_image() {
    local image=$1 settings=("APP_VERSION=${1##*:}" "${@:2}") setting layer env=
    base_image ledger >/dev/null
    build_standin
    for setting in "${settings[@]}"; do
        setting=${setting//\\/\\\\}
        env+=${env:+,}\"${setting//\"/\\\"}\"
    done
    layer=$(mktemp -d)
    printf '%s\n' "$image" >"$layer/image"
    cp "$root/target/standin/standin" "$layer/"
    pack "$layer" >"$layer.tar"
    load_image "$image" "$(ledger_config),\"Env\":[$env]" "$images_directory/ledger.tar" "$layer.tar"
    rm -r "$layer" "$layer.tar"
}

# base_image KIND: prints the name of the image that stays, and makes it if it is not there.
base_image() {
    local kind=$1 content image
    content=$(image_layer "$kind") || exit
    image=$standin_repository:$kind-${content:0:12}
    load_image "$image" "$("${kind}_config")" "$images_directory/$kind.tar"
    printf '%s\n' "$image"
}

postgres_config() {
    printf '%s' '"Entrypoint":["/entrypoint"],"Cmd":["postgres"],"StopSignal":"SIGINT",' \
        '"Env":["PGDATA=/var/lib/postgresql/data"],"ExposedPorts":{"5432/tcp":{}},' \
        '"Volumes":{"/var/lib/postgresql/data":{}}'
}

nginx_config() {
    printf '%s' '"Cmd":["nginx","-g","daemon off;"],"StopSignal":"SIGQUIT",' \
        '"ExposedPorts":{"80/tcp":{}}'
}

caddy_config() {
    printf '%s' '"Cmd":["caddy","run","--config","/etc/caddy/Caddyfile","--adapter","caddyfile"],' \
        '"Env":["HOME=/root","XDG_CONFIG_HOME=/config","XDG_DATA_HOME=/data"],' \
        '"WorkingDir":"/srv","ExposedPorts":{"80/tcp":{},"443/tcp":{}}'
}

redis_config() {
    printf '%s' '"Cmd":["redis-server","--protected-mode","no"],"WorkingDir":"/data",' \
        '"ExposedPorts":{"6379/tcp":{}},"Volumes":{"/data":{}}'
}

ledger_config() {
    printf '%s' '"Cmd":["/standin","ledger"],"ExposedPorts":{"8080/tcp":{}}'
}

# load_image NAME:TAG CONFIG LAYER.tar…: makes an image of layers, unless the engine has it. The
# layers of the kinds have their digests beside them. `docker import` can't set a stop signal.
load_image() {
    local image=$1 config=$2 layer digest digests=() content directory names=() json
    shift 2
    for layer in "$@"; do
        if [[ -e ${layer%.tar}.digest ]]; then
            read -r _ digest <"${layer%.tar}.digest"
        else
            digest=$(sha256sum "$layer")
        fi
        digests+=("sha256:${digest%% *}")
        names+=("${layer##*/}")
    done
    content=$(printf '%s\n' "$config" "${digests[@]}" | sha256sum)
    content=${content%% *}
    [[ $(docker image inspect --format \
        '{{index .Config.Labels "dev.moored.standin.content"}}' "$image" 2>/dev/null) != "$content" ]] ||
        return 0
    directory=$(mktemp -d)
    config+=",\"Labels\":{\"dev.moored.standin\":\"1\",\"dev.moored.standin.content\":\"$content\"}"
    json=$(json_list "${digests[@]}")
    printf '{"os":"linux","architecture":"%s","created":"1970-01-01T00:00:00Z","config":{%s},%s}' \
        "$(dpkg --print-architecture)" "$config" \
        "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":$json}" >"$directory/config.json"
    printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":%s}]' "$image" \
        "$(json_list "${names[@]}")" >"$directory/manifest.json"
    for layer in "$@"; do
        ln -s "$layer" "$directory/"
    done
    tar --create --dereference --directory "$directory" . | docker load --quiet >/dev/null
    rm -r "$directory"
}

# json_list TEXT…: texts without quotation marks as a list.
json_list() {
    local list
    printf -v list '"%s",' "$@"
    printf '[%s]' "${list%,}"
}

# --- layers ---

# pack DIRECTORY: an archive whose bytes depend on nothing but content and modes.
pack() {
    tar --create --directory "$1" --sort=name --owner=0 --group=0 --numeric-owner \
        --mtime=@0 --format=gnu .
}

# image_layer KIND: makes the layers of all kinds if one of them is missing or older than its
# recipe; prints the digest of this one.
image_layer() {
    local recipe
    recipe=$(sha256sum "${image_recipes[@]}" | sha256sum)
    recipe=${recipe%% *}
    digest_of_layer "$1" "$recipe" || {
        mkdir -p "$images_directory"
        (
            # Two scripts or tests at once: the second finds them made.
            flock 9
            digest_of_layer "$1" "$recipe" >/dev/null || make_layers "$recipe" >&2
        ) 9>"$images_directory/lock"
        digest_of_layer "$1" "$recipe" || die "The image of $1 can't be made."
    }
}

# digest_of_layer KIND RECIPE: prints the digest if the layer was made by this recipe.
digest_of_layer() {
    local recipe digest
    [[ -e $images_directory/$1.digest ]] || return 1
    read -r recipe digest <"$images_directory/$1.digest"
    [[ $recipe == "$2" ]] && printf '%s\n' "$digest"
}

# make_layers RECIPE: fetches the packages and makes the layers of all kinds.
make_layers() {
    local kind digest
    umask 022
    remark 'Making images of PostgreSQL, nginx, Caddy, Redis and the ledger from Debian packages.'
    rm -rf "${images_directory:?}"/*.digest "$images_directory"/{packages,tree}
    unpack_packages
    for kind in "${image_kinds[@]}"; do
        "${kind}_tree" "$images_directory/tree"
        pack "$images_directory/tree" >"$images_directory/$kind.tar"
        digest=$(sha256sum "$images_directory/$kind.tar")
        printf '%s %s\n' "$1" "${digest%% *}" >"$images_directory/$kind.digest"
        rm -rf "$images_directory/tree"
    done
    rm -rf "$images_directory/packages"
}

# unpack_packages: fetches the packages with all libraries that they depend on, as if nothing
# were installed, and unpacks them. Perl, compilers for queries and the like stay away.
unpack_packages() {
    local directory=$images_directory/packages packages package
    has apt-get apt-cache dpkg-deb ||
        die 'Images of PostgreSQL, nginx, Caddy and Redis are made of Debian packages, and there is no apt here.'
    mkdir -p "$directory/debs"
    packages=$(packages_to_fetch "$directory")
    if [[ -z $packages ]] || ! fetch_packages "$directory/debs" "$packages" &>/dev/null; then
        # The lists may be missing, or name versions that the mirror no longer has.
        quietly 'apt-get update' apt-get update -q
        packages=$(packages_to_fetch "$directory")
        [[ -n $packages ]] || die 'apt knows no package postgresql.'
        quietly 'apt-get download' fetch_packages "$directory/debs" "$packages"
    fi
    for package in "$directory"/debs/*.deb; do
        dpkg-deb --extract "$package" "$directory"
    done
}

# fetch_packages DIRECTORY LIST
fetch_packages() {
    # shellcheck disable=SC2086 # a list of names without spaces
    (cd "$1" && apt-get download -q $2)
}

# packages_to_fetch DIRECTORY: prints the names; nothing if apt does not know them.
packages_to_fetch() {
    local server
    server=$(apt-cache depends postgresql 2>/dev/null | grep -oE 'postgresql-[0-9]+' | head -n 1)
    [[ -n $server ]] || return 0
    : >"$1/nothing-is-installed"
    {
        apt-get install --simulate -o Dir::State::status="$1/nothing-is-installed" \
            -o APT::Install-Recommends=false "$server" nginx caddy redis-server sqlite3 busybox-static 2>/dev/null ||
            true
    } | awk '/^Inst / { print $2 }' |
        grep -E '^(lib|zlib|tzdata$|postgresql(-client)?-[0-9]|nginx|caddy$|redis-(server|tools)$|sqlite3$|busybox-static$)' |
        grep -vE '^lib(llvm|z3-|perl|.*-perl$)' || true
}

# --- what is in them ---

postgres_tree() {
    local tree=$1 packages=$images_directory/packages prefix share program name
    # /usr/lib/postgresql/15; the server finds its share/ by its own path.
    prefix=$(cd "$packages" && echo usr/lib/postgresql/*)
    share=usr/share/postgresql/${prefix##*/}
    common_tree "$tree" 'postgres:x:999:999::/var/lib/postgresql:/bin/sh' 'postgres:x:999:'
    mkdir -p "$tree/$prefix/bin" "$tree/${share%/*}" "$tree/usr/share/zoneinfo"
    mkdir -p "$tree/var/lib/postgresql/data" "$tree/run/postgresql"
    for name in postgres initdb psql pg_dump pg_dumpall pg_restore pg_isready createdb dropdb; do
        cp "$packages/$prefix/bin/$name" "$tree/$prefix/bin/"
        ln -s "../../$prefix/bin/$name" "$tree/usr/bin/$name"
    done
    cp -R "$packages/$prefix/lib" "$tree/$prefix/lib"
    cp -R "$packages/$share" "$tree/$share"
    rm -rf "$tree/$share/man" "$tree/$prefix/lib"/{pgxs,bitcode,llvmjit*}
    cp -R "$packages"/usr/share/zoneinfo/{Etc,Europe,UTC} "$tree/usr/share/zoneinfo/"
    install -m 755 "$root/scripts/lib/postgres-entrypoint.sh" "$tree/entrypoint"
    for program in "$tree/$prefix"/bin/* "$tree/$prefix"/lib/{plpgsql,dict_snowball,libpqwalreceiver}.so; do
        copy_libraries "$tree" "$program"
    done
}

nginx_tree() {
    local tree=$1 packages=$images_directory/packages
    common_tree "$tree" 'nginx:x:101:101::/nonexistent:/bin/false' 'nginx:x:101:'
    mkdir -p "$tree"/{etc/nginx/conf.d,var/lib/nginx,var/log/nginx,usr/sbin,usr/share/nginx/html}
    cp "$packages/usr/sbin/nginx" "$tree/usr/sbin/"
    cp "$packages"/etc/nginx/mime.types "$tree/etc/nginx/"
    ln -s /dev/stdout "$tree/var/log/nginx/access.log"
    ln -s /dev/stderr "$tree/var/log/nginx/error.log"
    cat >"$tree/etc/nginx/nginx.conf" <<'NGINX'
user nginx;
worker_processes 2;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log notice;
events { worker_connections 512; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /var/log/nginx/access.log;
    include /etc/nginx/conf.d/*.conf;
}
NGINX
    copy_libraries "$tree" "$tree/usr/sbin/nginx"
}

caddy_tree() {
    local tree=$1 packages=$images_directory/packages
    common_tree "$tree" 'caddy:x:102:102::/nonexistent:/bin/false' 'caddy:x:102:'
    mkdir -p "$tree"/{config,data,etc/caddy,srv}
    # Whoever it runs as keeps its state there.
    chmod 1777 "$tree"/{config,data}
    cp "$packages/usr/bin/caddy" "$tree/usr/bin/"
    printf ':80 {\n\trespond "nothing is configured here" 404\n}\n' >"$tree/etc/caddy/Caddyfile"
    copy_libraries "$tree" "$tree/usr/bin/caddy"
}

redis_tree() {
    local tree=$1 packages=$images_directory/packages
    common_tree "$tree" 'redis:x:103:103::/nonexistent:/bin/false' 'redis:x:103:'
    mkdir -p "$tree/data"
    # The server is a link to the program of another name, which looks at how it was called.
    cp --dereference "$packages/usr/bin/redis-server" "$packages/usr/bin/redis-cli" "$tree/usr/bin/"
    copy_libraries "$tree" "$tree/usr/bin/redis-server"
    copy_libraries "$tree" "$tree/usr/bin/redis-cli"
}

ledger_tree() {
    local tree=$1 packages=$images_directory/packages
    common_tree "$tree" 'app:x:1000:1000::/nonexistent:/bin/false' 'app:x:1000:'
    mkdir -p "$tree/data"
    cp "$packages"/usr/lib/postgresql/*/bin/psql "$packages/usr/bin/sqlite3" "$tree/usr/bin/"
    copy_libraries "$tree" "$tree/usr/bin/psql"
    copy_libraries "$tree" "$tree/usr/bin/sqlite3"
}

# common_tree TREE USER GROUP: busybox with its applets, and the files that libc reads.
common_tree() {
    local tree=$1 applet
    mkdir -p "$tree"/{bin,etc,root,run,tmp,usr/bin,var/lib}
    chmod 1777 "$tree/tmp"
    ln -s /run "$tree/var/run"
    cp "$images_directory/packages/bin/busybox" "$tree/bin/"
    for applet in $("$tree/bin/busybox" --list); do
        [[ $applet == busybox ]] || ln -s busybox "$tree/bin/$applet"
    done
    printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' "$2" >"$tree/etc/passwd"
    printf '%s\n' 'root:x:0:' "$3" >"$tree/etc/group"
    printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$tree/etc/nsswitch.conf"
}

# copy_libraries TREE PROGRAM: copies what the program is linked with, as its own loader says.
copy_libraries() {
    local tree=$1 program=$2 packages=$images_directory/packages loader path name library listed
    loader=$(echo "$packages"/lib*/ld-linux*.so.* "$packages"/lib/*-linux-gnu*/ld-linux*.so.*)
    loader=${loader##* }
    for name in "$packages"/{usr/,}lib/*-linux-gnu; do
        path=${path:+$path:}$name
    done
    listed=$("$loader" --library-path "$path" --list "$program") ||
        die "$program needs a library that was not fetched." "$listed"
    while read -r name _ library _; do
        [[ $library == /* ]] || continue
        # The loader has a path of its own in the program; the others are looked for here.
        [[ $name == /* ]] || name=${library#"$packages"}
        name=$tree/${name#/usr}
        [[ -e $name ]] || install -D -m 755 "$library" "$name"
    done <<<"$listed"
}
