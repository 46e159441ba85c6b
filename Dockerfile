# Moored as a container.
#
#   docker build --tag moored .
#   install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/moored
#   docker run --detach --name moored --restart unless-stopped --stop-timeout 600 \
#       --group-add "$(stat -c %g /var/run/docker.sock)" \
#       --volume /etc/moored:/etc/moored:ro \
#       --volume /var/lib/moored:/var/lib/moored \
#       --volume /var/run/docker.sock:/var/run/docker.sock \
#       --volume /run/lock:/run/lock \
#       moored
#
# | mount | what for |
# |---|---|
# | /etc/moored (read-only) | `config.yaml` and the keys it names, readable by user 10001 |
# | /var/lib/moored, at the same path | journal, releases, fetched repository, project directories |
# | /var/run/docker.sock | the engine; its group is given by --group-add, so root is not needed |
# | /run/lock | the lock that refuses a second controller on the same engine |
#
# The state directory is a directory of the host and no named volume: repository files that
# services mount are placed below it, and the engine looks for them at that path of the host. A
# local state repository, `project_directory`, environment files and other host paths that a stack
# names must be mounted at the same path too. More: docs/operations.md.

ARG RUST_IMAGE=rust:1.95-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

FROM ${RUST_IMAGE} AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY src ./src
COPY docs/moored.schema.json ./docs/
# libgit2 and SQLite are compiled in; OpenSSL and zlib come from the image.
RUN cargo build --release --locked --bin moored

FROM ${DEBIAN_IMAGE}
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates libssl3 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 moored \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/moored \
        --shell /usr/sbin/nologin moored \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/moored
COPY --from=build /build/target/release/moored /usr/local/bin/moored
USER 10001:10001
# Ends the running step safely first.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/moored"]
CMD ["run"]
