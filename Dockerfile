FROM python:3.11-slim

WORKDIR /app
COPY pyproject.toml requirements.txt README.md LICENSE ./
COPY chatwoot_bot chatwoot_bot
COPY static static
RUN pip install --no-cache-dir --require-hashes -r requirements.txt \
    && pip install --no-cache-dir --no-deps --no-build-isolation . \
    && useradd --create-home --home-dir /data bot

USER bot
WORKDIR /data
ENV HOST=0.0.0.0 PORT=8000 LOG_FORMAT=json
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health')"]
CMD ["chatwoot-bot", "serve"]
