# kdriver's own image: everything that indexing, building, verifying and publishing need. Loading happens on
# the host and needs no image. Any Debian 12 image serves as the base:
#   docker build --build-arg BASE_IMAGE=registry.example/debian:12 -t kdriver .
#   docker run --rm -v kdriver:/var/lib/kdriver kdriver index update --distro debian12
ARG BASE_IMAGE=debian:12-slim

FROM ${BASE_IMAGE} AS install
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates python3 python3-venv
COPY . /src
RUN python3 -m venv /opt/kdriver && /opt/kdriver/bin/pip install --no-cache-dir --disable-pip-version-check /src

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="kdriver" \
      org.opencontainers.image.description="Index kernels, build event drivers for them, prove that they work, publish them" \
      org.opencontainers.image.licenses="Apache-2.0 AND (GPL-2.0-only OR MIT)"
COPY ci/packages/run.txt /usr/share/kdriver/packages.txt
RUN apt-get update \
    && sed -e '/^#/d' -e '/^$/d' /usr/share/kdriver/packages.txt \
        | DEBIAN_FRONTEND=noninteractive xargs apt-get install -y --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=install /opt/kdriver /opt/kdriver
# Nothing here needs root: packages are unpacked and guests run as a plain user.
RUN useradd --create-home --uid 1000 kdriver && install -d -o kdriver -g kdriver /var/lib/kdriver
ENV PATH=/opt/kdriver/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    KDRIVER_CACHE=/var/lib/kdriver/cache \
    KDRIVER_INDEX=/var/lib/kdriver/index
USER kdriver
WORKDIR /var/lib/kdriver
VOLUME /var/lib/kdriver
ENTRYPOINT ["kdriver"]
CMD ["--help"]
