# affetto in a container; docs/serving.md, "Containers", has the commands.
#   docker build --target serve -t affetto-serve .
#   docker build --target serve -t affetto-serve:cuda --build-arg TORCH_INDEX=https://pypi.org/simple .
#
# BASE should be pinned by its digest, so that a build is the same tomorrow. The digest changes with each security update
# and could not be looked up where this file was written:
#   --build-arg BASE=python@$(docker buildx imagetools inspect python:3.12-slim-bookworm --format '{{.Manifest.Digest}}')
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
# PyTorch for CPUs; the index of PyPI has it with CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# Extras of affetto; a server needs `web,containers` alone, or `serve,containers` without the page.
ARG EXTRAS=all
ENV PATH=/opt/affetto/bin:$PATH PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/affetto
COPY constraints.txt /src/
RUN pip install --index-url "${TORCH_INDEX}" "$(sed -n '/^torch==/p' /src/constraints.txt)"
COPY . /src
RUN pip install -c /src/constraints.txt "/src[${EXTRAS}]"

FROM ${BASE} AS affetto
# By number, so that Kubernetes can see that it is not root.
RUN useradd --uid 10001 --user-group --no-create-home affetto && install -d -m 1777 /cache
COPY --from=build /opt/affetto /opt/affetto
# The root may be read-only: backbones and stored states are in the volume, all else that is written in /tmp.
ENV PATH=/opt/affetto/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    AFFETTO_CACHE=/cache/affetto \
    HF_HOME=/cache/huggingface \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
VOLUME /cache
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["affetto"]
CMD ["--help"]

FROM affetto AS serve
# Without a token the server does not start: other machines may reach a container's port.
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=5m \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=8)"]
ENTRYPOINT ["affetto", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["--help"]

FROM affetto
