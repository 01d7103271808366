# Two stages: one builds packages, assets and languages, the other runs them as a user without rights.
FROM python:3.13-slim AS build
WORKDIR /portal
COPY requirements/run.txt requirements/run.txt
RUN python -m venv .venv && .venv/bin/python -m pip install --no-cache-dir --require-hashes --no-deps --only-binary :all: -r requirements/run.txt
COPY package.json package-lock.json .npmrc babel.cfg ./
COPY assets assets
COPY tools tools
COPY locales locales
COPY app app
RUN .venv/bin/python tools/assets.py && .venv/bin/pybabel compile -q -d locales && rm -rf node_modules

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home /portal portal && mkdir -p /data && chown portal /data
WORKDIR /portal
COPY --from=build /portal/.venv .venv
COPY --from=build /portal/app app
COPY --from=build /portal/locales locales
COPY migrations migrations
COPY templates templates
COPY calls calls
USER portal
ENV DATA=/data PATH=/portal/.venv/bin:$PATH PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"
ENTRYPOINT ["python", "-m", "app"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
