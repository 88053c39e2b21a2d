# affetto on a CPU. Build:  docker build -t affetto .
# Use:  docker run --rm -v "$PWD:/data" affetto predict runs/mine clip.wav
# Serve:  docker run --rm -p 8000:8000 -v "$PWD:/data" affetto serve runs/mine --host 0.0.0.0
FROM python:3.12-slim
RUN useradd --create-home affetto
COPY . /src
# PyTorch for the CPU alone, then affetto with all extras, by the versions that the tests run with.
RUN pip install --no-cache-dir "$(sed -n '/^torch==/p' /src/constraints.txt)" --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir -c /src/constraints.txt "/src[all]" \
    && rm -rf /src
USER affetto
WORKDIR /data
ENTRYPOINT ["affetto"]
CMD ["--help"]
