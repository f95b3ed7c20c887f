# The same as what scripts/env sets up, in a container:
#   docker build -t meanfield .
#   docker run --rm -v "$PWD:/work" meanfield meanfield run mycase.toml
FROM debian:13-slim
COPY . /opt/meanfield
# One list of packages for all: scripts/env installs them with apt here, and the Python packages on top.
RUN XDG_CACHE_HOME=/var/cache MEANFIELD_ENV_KIND=apt /opt/meanfield/scripts/env python -c "import meanfield" \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/meanfield /root/.cache
WORKDIR /work
ENTRYPOINT ["/opt/meanfield/scripts/env"]
CMD ["meanfield", "--help"]
