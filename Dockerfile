# syntax=docker/dockerfile:1
# A Penstock node. The first stage builds it, the second holds what it needs to run.

FROM rust:1.95-trixie AS build
# What scripts/setup installs for `make run`; nothing of the tests.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends cmake protobuf-compiler libprotobuf-dev nodejs npm \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /penstock
COPY . .
# The management page is part of the program: its sources need not come along.
RUN scripts/panel && cargo build --release --locked --bin penstock && rm -rf webapps/root/panel

FROM debian:trixie-slim
# ffmpeg transcodes what the node cannot by itself.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates ffmpeg \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/penstock --create-home penstock \
 && install --directory --owner=penstock --group=penstock /var/lib/penstock/data
COPY --from=build /penstock/target/release/penstock /usr/local/bin/penstock
# The node makes folders of applications there, and writes their settings.
COPY --from=build --chown=penstock:penstock /penstock/webapps /usr/share/penstock/webapps
USER penstock
WORKDIR /var/lib/penstock
ENV PENSTOCK_DATA_FOLDER=/var/lib/penstock/data \
    PENSTOCK_DATA_WEBAPPS=/usr/share/penstock/webapps \
    PENSTOCK_LOG_FORMAT=json
# HTTP, HTTPS, RTMP, the cluster; media by UDP (a port per core) and TCP.
EXPOSE 5080 5443 1935 5090 50000/udp 50001/udp 50000
VOLUME /var/lib/penstock/data
# SIGTERM drains the node.
STOPSIGNAL SIGTERM
ENTRYPOINT ["penstock"]
