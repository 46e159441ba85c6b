#!/bin/sh
# Starts PostgreSQL in the image of images.sh, as the official image does: the first start makes
# the cluster, the user POSTGRES_USER (default postgres) and the database POSTGRES_DB (default:
# the user's name). The local socket trusts everybody; over the network POSTGRES_PASSWORD is
# asked for if there is one. Another command than `postgres` is run as it is.
set -eu

: "${PGDATA:=/var/lib/postgresql/data}" "${POSTGRES_USER:=postgres}"
: "${POSTGRES_DB:=$POSTGRES_USER}"

main() {
    case ${1:-postgres} in
        -*) set -- postgres "$@" ;;
        postgres) ;;
        *) exec "$@" ;;
    esac
    if [ "$(id -u)" = 0 ]; then
        mkdir -p "$PGDATA" /run/postgresql
        chown -R postgres:postgres "$PGDATA" /run/postgresql
        chmod 700 "$PGDATA"
        exec su -p -s /bin/sh postgres /entrypoint "$@"
    fi
    [ -s "$PGDATA/PG_VERSION" ] || make_cluster
    exec "$@" -D "$PGDATA" -c listen_addresses='*'
}

make_cluster() {
    method=trust
    set -- --pgdata="$PGDATA" --username="$POSTGRES_USER" --encoding=UTF8 --locale=C \
        --auth=trust --no-sync --no-instructions
    if [ -n "${POSTGRES_PASSWORD:-}" ]; then
        method=scram-sha-256
        (umask 077 && printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password)
        set -- "$@" --pwfile=/tmp/password
    fi
    initdb "$@"
    rm -f /tmp/password
    printf 'host all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
    [ "$POSTGRES_DB" = postgres ] ||
        printf 'CREATE DATABASE "%s";\n' "$POSTGRES_DB" | postgres --single -D "$PGDATA" postgres
}

main "$@"
