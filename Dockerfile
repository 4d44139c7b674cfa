# AuraLink AIC: one process tree that serves HTTP (8000: control, health, metrics) and gRPC (50051).
#
# Debian 12 with its own Python 3.11, which gets security fixes for years. Python packages are those
# of deploy/requirements.lock, each with its hash. deploy/rehearse_image.py executes these steps
# where there is no container engine.

FROM debian:bookworm-20250520-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv binutils
WORKDIR /src
COPY deploy/requirements.lock deploy/requirements.lock
RUN python3 -m venv /opt/auralink && /opt/auralink/bin/pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r deploy/requirements.lock
COPY pyproject.toml README.md LICENSE /src/
COPY codecs /src/codecs
COPY models /src/models
COPY engine /src/engine
COPY bench /src/bench
RUN /opt/auralink/bin/pip install --no-cache-dir --no-deps --no-build-isolation --no-index .
# What made it is not needed to run it: an image without pip installs nothing for anybody. Symbols for
# debuggers are a tenth of what the wheels weigh; libraries that wheels bring along have none left.
RUN /opt/auralink/bin/pip uninstall -y setuptools pip && find /opt/auralink/lib -depth -type d -name tests -exec rm -rf {} + && find /opt/auralink/lib -type f -regex '.*[.]\(pyi\|pyx\|pxd\|c\|cpp\|h\|hpp\)' -delete && find /opt/auralink/lib -type f -name '*.so*' -not -path '*.libs/*' -exec strip --strip-unneeded {} +

FROM debian:bookworm-20250520-slim
LABEL org.opencontainers.image.title="AuraLink AIC" org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update && apt-get install -y --no-install-recommends python3 libaom3 ca-certificates && rm -rf /var/lib/apt/lists/* /var/cache/apt/* && groupadd --gid 10001 auralink && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin auralink && install -d -o 10001 -g 10001 /var/lib/auralink
COPY --from=build /opt/auralink /opt/auralink
# The root file system may be read-only: state goes to the volume, what is compiled on the way to /tmp.
# ONNX Runtime 1.32 reports its use to its maker unless it is told not to.
ENV PATH=/opt/auralink/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 NUMBA_CACHE_DIR=/tmp/numba ORT_DISABLE_TELEMETRY=1 AURALINK_HTTP__HOST=0.0.0.0 AURALINK_GRPC__HOST=0.0.0.0 AURALINK_LOG__FORMAT=json DATABASE_URL=sqlite:////var/lib/auralink/aic.db
WORKDIR /var/lib/auralink
VOLUME ["/var/lib/auralink"]
USER 10001:10001
EXPOSE 8000 50051
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ["python3", "-c", "import os, ssl, urllib.request as r; tls = os.environ.get('AURALINK_HTTP__TLS', '').lower() in ('true', '1', 'yes', 'on'); r.urlopen(f'http{\"s\" * tls}://127.0.0.1:8000/liveness', timeout=2, context=ssl._create_unverified_context() if tls else None)"]
ENTRYPOINT ["auralink"]
CMD ["serve"]
