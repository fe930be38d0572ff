# Two stages: the first has pip and the build backend, the second only Python and what runs.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# Dependencies before sources: a change of code does not install them again.
COPY requirements/run.txt requirements/build.txt requirements/
RUN python -m venv /venv \
 && /venv/bin/pip install --require-hashes -r requirements/run.txt \
 && python -m venv /tools \
 && /tools/bin/pip install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY llm_backend llm_backend
COPY spec spec
COPY migrations migrations
# The wheel is made with the locked build backend and installed without a look at any index.
RUN /tools/bin/python -m pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /venv/bin/pip install --no-index --no-deps /wheels/llm_backend-*.whl \
 && install -d -o 10001 -g 10001 -m 0700 /data

FROM ${PYTHON_IMAGE}
COPY --from=build /venv /venv
# Belongs to the user: the SQLite file and the secret beside it are the only things ever written.
COPY --from=build --chown=10001:10001 /data /data
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/data \
    LLM_BACKEND_HOME=/data \
    HOST=0.0.0.0 \
    PORT=5000
WORKDIR /data
VOLUME ["/data"]
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/healthz', timeout=2)"]
# `serve` makes a missing SQLite file by itself and refuses a schema that is not its own:
# after an update, and with PostgreSQL, `db upgrade` runs first (compose.yaml and k8s/ do so).
ENTRYPOINT ["llm-backend"]
CMD ["serve"]
