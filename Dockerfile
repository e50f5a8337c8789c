# Lacuna in a container, without data and without a Kedro project: both are mounted (docs/how-to/many_machines.md).
#   docker build --tag lacuna .
#   docker run --rm --volume "$PWD:/home/lacuna/work" lacuna doctor my_corpus
# pip reads the index from the build arguments, e.g. one with CPU builds of torch, in the versions of constraints.txt.
FROM python:3.11-slim AS build
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
WORKDIR /source
COPY . .
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG EXTRAS=all,cluster
COPY --from=build /wheels /wheels
COPY constraints.txt /wheels/
RUN python -m pip install --no-cache-dir --constraint /wheels/constraints.txt "$(echo /wheels/lacuna-*.whl)[$EXTRAS]" \
    && useradd --create-home --uid 1000 lacuna \
    && install --directory --owner lacuna --group lacuna /home/lacuna/work
USER lacuna
WORKDIR /home/lacuna/work
ENTRYPOINT ["lacuna"]
CMD ["--help"]
