# affetto on a CPU. Build:  docker build -t affetto .
# Use:    docker run --rm -v "$PWD:/data" -v affetto-cache:/cache affetto predict runs/mine clip.wav
# Serve:  docker build --target serve -t affetto-serve .
#         export AFFETTO_TOKEN=$(openssl rand -hex 24)
#         docker run --rm --stop-timeout 400 -p 127.0.0.1:8000:8000 -e AFFETTO_TOKEN -v "$PWD:/data:ro" \
#             -v affetto-cache:/cache affetto-serve runs/mine
# Without a token the server does not start: a container's port may be reached by others.
FROM python:3.12-slim AS affetto
RUN useradd --create-home affetto && mkdir -m 1777 /cache
COPY . /src
# PyTorch for the CPU alone, then affetto with all extras, by the versions that the tests run with.
RUN pip install --no-cache-dir "$(sed -n '/^torch==/p' /src/constraints.txt)" --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir -c /src/constraints.txt "/src[all]" \
    && rm -rf /src
# Backbones and stored states outlive a container in a volume, whatever user it runs as.
ENV AFFETTO_CACHE=/cache/affetto HF_HOME=/cache/huggingface
VOLUME /cache
USER affetto
WORKDIR /data
ENTRYPOINT ["affetto"]
CMD ["--help"]

FROM affetto AS serve
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=5m \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=8)"]
ENTRYPOINT ["affetto", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["--help"]

FROM affetto
