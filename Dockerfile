# The image: respid and its dependencies in a virtual environment, on a slim Python image. It contains no build tools, no pip
# and no program that is setuid or setgid, not even in a lower layer: it has a single one.
#
#   docker build -t respid .
#   buildah bud --format docker -t respid .          # the OCI format has no HEALTHCHECK
#
# BASE_IMAGE can be any Debian-like image that has Python 3.11 or newer, with the venv module, as python3. If pip needs extra
# settings (an index, a certificate), mount them for the build: buildah bud -v /etc/pip.conf:/etc/pip.conf:ro …
ARG BASE_IMAGE=python

# Dependabot keeps this line current. The release pins the digest, which the image's provenance then names.
FROM docker.io/library/python:3.13.7-slim-bookworm AS python

FROM ${BASE_IMAGE} AS build
ARG PIP_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements.txt ./
RUN python3 -m venv tools \
 && tools/bin/pip download --quiet --require-hashes --only-binary :all: --requirement requirements.txt --dest wheels
COPY pyproject.toml README.md LICENSE ./
COPY respid respid
RUN tools/bin/pip wheel --quiet --no-index --find-links wheels --no-deps --wheel-dir wheels . \
 && python3 -m venv --without-pip /opt/respid \
 && tools/bin/pip --python /opt/respid/bin/python install --quiet --no-index --find-links wheels "respid[kubernetes]"

FROM ${BASE_IMAGE} AS root
COPY --from=build /opt/respid /opt/respid
RUN find / -xdev \( -path '*-packages/pip' -o -path '*-packages/pip-*' -o -path '*/bin/pip*' -o -name ensurepip \) \
      -prune -exec rm -rf {} + \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
# Group 0 can write, because OpenShift runs the image as a random user in that group.
 && install --directory --owner 10001 --group 0 --mode 0770 /var/lib/respid

FROM scratch
LABEL org.opencontainers.image.title=respid \
      org.opencontainers.image.description="Unique, time-ordered 64-bit IDs for any Redis client" \
      org.opencontainers.image.licenses=MIT
COPY --from=root / /
# respid writes only to its state directory. With a read-only root file system, mount a volume there.
ENV PATH=/opt/respid/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    RESPID_BIND=* \
    RESPID_HTTP_BIND=* \
    RESPID_STATE_DIR=/var/lib/respid
VOLUME /var/lib/respid
WORKDIR /
USER 10001:10001
EXPOSE 6379 8080
# respid runs as process 1. It handles SIGTERM itself and starts no child processes, so it needs no init.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["respid", "healthcheck"]
ENTRYPOINT ["respid"]
CMD ["serve"]
