# Builds the wheel and installs it, with the versions of constraints.txt, into /opt/kasparro.
FROM python:3.13-slim AS builder
WORKDIR /build
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src ./src
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir dist .
# The environment has no pip of its own: nothing is installed into a running container.
RUN python -m venv --without-pip /opt/kasparro \
    && python -m pip --python /opt/kasparro/bin/python install --no-cache-dir --constraint constraints.txt \
       "$(echo dist/kasparro-*.whl)[all]"

# What runs: the interpreter and that folder, as a user that owns nothing but /data.
FROM python:3.13-slim
LABEL org.opencontainers.image.title="Kasparro" \
      org.opencontainers.image.description="Reads APIs, CSV files and feeds, normalizes them, and writes each record exactly once." \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 kasparro \
    && useradd --uid 10001 --gid kasparro --no-create-home --home-dir /tmp --shell /usr/sbin/nologin kasparro \
    && install --directory --owner kasparro --group kasparro /data
COPY --from=builder /opt/kasparro /opt/kasparro
# The root file system may be read-only: only the two volumes are written to, /data if the database is SQLite.
ENV PATH=/opt/kasparro/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ENVIRONMENT=production
WORKDIR /data
VOLUME ["/data", "/tmp"]
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=3 CMD ["kasparro", "healthcheck"]
ENTRYPOINT ["kasparro"]
CMD ["serve", "--host", "0.0.0.0"]
