# The gateway in a container: docs/how-to/install.md says how to start it and how an agent reaches it.
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements-core.txt ./
RUN python -m venv /opt/anchorline \
 && /opt/anchorline/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements-core.txt
COPY pyproject.toml README.md LICENSE ./
COPY server ./server
COPY models ./models
COPY client-claude-code ./client-claude-code
RUN /opt/anchorline/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin anchorline \
 && install -d -o anchorline -g anchorline -m 0700 /data
COPY --from=build /opt/anchorline /opt/anchorline
# Nothing but /data is written: bytecode was compiled when it was installed, and the root may be read-only.
ENV PATH=/opt/anchorline/bin:$PATH \
    HOME=/data \
    ANCHORLINE_DATA_DIR=/data \
    ANCHORLINE_CONFIG=/data/anchorline.toml \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
# It listens on 127.0.0.1 of the network that it is in, and nowhere else: there is no port to publish.
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s CMD ["anchorline", "top", "--json"]
ENTRYPOINT ["anchorline"]
CMD ["gateway"]
