# meanfield with the DOLFINx of PyPI, in a container (x86-64):
#   docker build -t meanfield .
#   docker run --rm -v "$PWD:/work" meanfield meanfield run mycase.toml
#   docker run --rm -v "$PWD:/work" meanfield mpiexec -n 4 meanfield run mycase.toml
FROM python:3.13-slim
# VTK draws off-screen by EGL.
RUN apt-get update && apt-get install -y --no-install-recommends libegl1 libgl1-mesa-dri && rm -rf /var/lib/apt/lists/*
# An environment of its own, as the wheel of DOLFINx wants it.
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH VIRTUAL_ENV=/opt/venv OMP_NUM_THREADS=1 GOMP_SPINCOUNT=3000 \
    NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/matplotlib VTK_DEFAULT_OPENGL_WINDOW=vtkEGLRenderWindow
COPY . /opt/meanfield
RUN pip install --no-cache-dir "/opt/meanfield[dolfinx]"
# For processors like the one that builds this; others compile once more. Any user may keep kernels there.
RUN meanfield warm-up && chmod -R a+rwX /tmp/numba
WORKDIR /work
CMD ["meanfield", "--help"]
