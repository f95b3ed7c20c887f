# meanfield with the DOLFINx of PyPI, in a container (x86-64). Untested here.
#   docker build -t meanfield .
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" meanfield meanfield run mycase.toml
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" meanfield mpiexec -n 4 meanfield run mycase.toml
FROM python:3.13-slim
# VTK draws off-screen by EGL.
RUN apt-get update && apt-get install -y --no-install-recommends libegl1 libgl1-mesa-dri && rm -rf /var/lib/apt/lists/*
# An environment of its own, as the wheel of DOLFINx wants it.
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH VIRTUAL_ENV=/opt/venv OMP_NUM_THREADS=1 GOMP_SPINCOUNT=3000 HOME=/tmp \
    NUMBA_CACHE_DIR=/opt/kernels MPLCONFIGDIR=/tmp/matplotlib VTK_DEFAULT_OPENGL_WINDOW=vtkEGLRenderWindow
# What is installed hangs on this file alone: a change of the code does not fetch a gigabyte again.
COPY pyproject.toml /opt/meanfield/
RUN python -c "import tomllib; p = tomllib.load(open('/opt/meanfield/pyproject.toml', 'rb'))['project']; o = p['optional-dependencies']; \
print(*p['dependencies'], *o['dolfinx'], *o['film'], *o['report'], *o['tables'], sep='\n')" >/tmp/needed && \
    pip install --no-cache-dir -r /tmp/needed hatchling && rm /tmp/needed
# What the package is made of, and no more: a change of a page or a test compiles no kernel again.
COPY README.md LICENSE LICENSE.GPL /opt/meanfield/
COPY scripts/cases /opt/meanfield/scripts/cases
COPY scripts/examples /opt/meanfield/scripts/examples
COPY meanfield /opt/meanfield/meanfield
RUN pip install --no-cache-dir --no-deps --no-build-isolation /opt/meanfield
# Kernels for processors like the one that builds this; others compile once more. Any user may keep kernels there.
RUN meanfield warm-up && chmod -R a+rwX /opt/kernels
RUN useradd --create-home --uid 1000 meanfield && mkdir /work && chown meanfield /work
USER meanfield
WORKDIR /work
CMD ["meanfield", "--help"]
