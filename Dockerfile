# Three images from one build: --target server, worker or client.
#
#   docker build --target server -t likeness-server .
#   docker build --target worker -t likeness-worker .
#   docker build --target worker -t likeness-worker:cuda --build-arg PIP_ARGS=--index-url=... .
#
# DEBIAN is the base of all stages: pin it by digest, --build-arg DEBIAN=debian@sha256:..., for the same image tomorrow.
# The wheel that LibTorch is taken from is pinned by digest in scripts/torch*.txt: the CPU build where pip's index has one (PIP_ARGS
# names another index), else the CUDA build. TORCH names another version, of which no digest is known.
ARG DEBIAN=debian:12-slim

FROM ${DEBIAN} AS build
ARG TORCH=
ARG PIP_ARGS=
WORKDIR /src
COPY scripts/setup scripts/torch*.txt scripts/
RUN apt-get update && LIKENESS_TORCH="${TORCH}" LIKENESS_PIP_ARGS="${PIP_ARGS}" scripts/setup
COPY . .
RUN cmake --preset release -DLIKENESS_TESTS=OFF -DLIKENESS_BENCHMARKS=OFF -DLIKENESS_UNITY=ON \
 && cmake --build --preset release --target installed \
 && cmake --install build/release --prefix /opt/likeness --strip

FROM ${DEBIAN} AS runtime
# An empty volume that is mounted on one of these directories takes over its owner.
RUN useradd --uid 10001 --create-home --home-dir /var/lib/likeness --shell /usr/sbin/nologin likeness \
 && install -d -o likeness -g likeness -m 0750 /run/likeness
ENV PATH=/opt/likeness/bin:$PATH
WORKDIR /var/lib/likeness

FROM runtime AS server
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libgrpc++1.51 libprotobuf32 \
      libabsl20220623 libsqlite3-0 libspdlog1.10 libprometheus-cpp-core1.0 libcpp-httplib0.11 libssl3 libcjose0 libcurl4 \
      libjpeg62-turbo zlib1g \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/likeness/bin/likeness-server /opt/likeness/bin/likeness /opt/likeness/bin/
USER 10001
ENV LIKENESS_DATA_DIR=/var/lib/likeness
VOLUME /var/lib/likeness
EXPOSE 50051 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=10m CMD ["likeness-server", "healthcheck", "--ready"]
ENTRYPOINT ["likeness-server"]

FROM runtime AS worker
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libgrpc++1.51 libprotobuf32 \
      libabsl20220623 libspdlog1.10 libprometheus-cpp-core1.0 libcpp-httplib0.11 libssl3 \
      libopencv-core406 libopencv-dnn406 libopencv-imgproc406 libopencv-imgcodecs406 libjpeg62-turbo libpng16-16 liblcms2-2 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/likeness/bin/likeness-worker /opt/likeness/bin/
COPY --from=build /opt/likeness/lib/likeness /opt/likeness/lib/likeness
COPY --from=build /opt/likeness/share/likeness/models /opt/likeness/share/likeness/models
USER 10001
ENV LIKENESS_MODELS=/opt/likeness/share/likeness/models LIKENESS_CACHE_DIR=/var/lib/likeness/cache
VOLUME /var/lib/likeness
EXPOSE 9465
HEALTHCHECK --interval=30s --timeout=20s --start-period=1h CMD ["likeness-worker", "healthcheck"]
ENTRYPOINT ["likeness-worker"]
CMD ["serve"]

FROM runtime AS client
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libgrpc++1.51 libprotobuf32 \
      libabsl20220623 libspdlog1.10 libssl3 libjpeg62-turbo zlib1g \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/likeness/bin/likeness /opt/likeness/bin/
USER 10001
ENTRYPOINT ["likeness"]
