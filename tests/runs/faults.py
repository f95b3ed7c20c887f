"""A program for test_faults.py: runs that are killed, or refused something, at their writes.

Words: the kind of run, the fault, the folder, and of how many moments one is tried. For each moment
at which the fault can come a process runs the case until then; another one goes on with what is
left, which must give what the run gives that nothing happened to. Prints how many were tried.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

import meanfield as mf
from meanfield.collective import Alone
from meanfield.results.formats import read_fields, read_tokens_file

KINDS = {
    "tokens": """
        geometry = {type = "unmeshed", d = 3}
        model = {attention = "sa", beta = 2.0}
        initial = {type = "uniform"}
        solver = {type = "particles", number = 20}
        time = {end = 2.0, outputs = [0.5, 1.0], series_every = 1}
        output = {figures = false}
    """,
    "characteristics": """
        geometry = {type = "sphere", level = 2}
        model = {attention = "sa", beta = 1.0}
        initial = {type = "standard"}
        solver = {type = "lagrangian"}
        time = {end = 2.0, outputs = [0.5, 1.0], series_every = 1}
        output = {figures = false}
    """,
}


def in_a_process(action: Callable[[], object]) -> int:
    """Do something in a copy of this process; how that ended: 0, 1 (it raised) or the signal."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        except OSError:
            pass
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", flush=True)
            code = 3
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


class Fault:
    """Something that happens at the ``moment``-th of the calls by which a run reaches the disk."""

    def __init__(self, moment: int, what: Callable[[], None]) -> None:
        self.moment, self.what, self.calls = moment, what, 0

    def hook(self, owner: object, name: str) -> None:
        """Let it happen in a function of this name, before that does anything."""
        real = getattr(owner, name)

        def hooked(*arguments: object, **options: object) -> object:
            self.calls += 1
            if self.calls == self.moment:
                self.what()
            return real(*arguments, **options)

        setattr(owner, name, hooked)

    def arm(self) -> None:
        """Every fsync, every move, every flush of a field file."""
        for name in ("fsync", "replace", "unlink"):
            self.hook(os, name)
        self.hook(h5py.File, "flush")


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refused() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def series(path: Path) -> dict[str, np.ndarray]:
    return mf.RunFolder(path).read_series()


def go_on(case: mf.Case, path: Path) -> None:
    """Go on, or begin again where there is nothing to go on from: without a word of the user's."""
    folder = mf.RunFolder(path)
    if any(place.exists() for place in folder.checkpoint_paths):
        ended = series(path)["t"][-1:] == case.time.end
        checkpoint = np.load(folder.checkpoint_paths[0 if folder.checkpoint_path.exists() else 1])
        if not (ended and checkpoint["t"] == case.time.end):
            mf.run(case, path, resume=True, progress=False, comm=Alone())
    else:
        mf.run(
            case,
            path,
            overwrite=path.exists() and any(path.iterdir()),
            progress=False,
            comm=Alone(),
        )


def check(case: mf.Case, path: Path, whole: Path, what: str) -> None:
    code = in_a_process(lambda: go_on(case, path))
    if code:
        sys.exit(f"{what}: cannot go on ({code}): {sorted(os.listdir(path))}")
    one, two = series(whole), series(path)
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=1e-10, atol=1e-12, err_msg=what)
    read = read_tokens_file if (path / "particles.vtkhdf").exists() else read_fields
    (name,) = (p.name for p in path.iterdir() if p.suffix == ".vtkhdf")
    assert tuple(read(path / name).times) == case.output_times(), what
    left = [p.name for p in path.iterdir() if p.name.endswith(".tmp")]
    # Of what is written last there is nothing to go on with: it goes with the run.
    assert left in ([], ["run.json.tmp"], ["clusters.csv.tmp"]), f"{what}: {left} left"
    mf.RunFolder.create(path, overwrite=True)
    assert mf.RunFolder.is_empty(path), what


def at_each_call(
    case: mf.Case, folder: Path, what: Callable[[], None], expected: int, stride: int
) -> int:
    for moment in range(1, 10_000, stride):
        path = folder / f"call-{moment}"

        def until(moment: int = moment, path: Path = path) -> None:
            Fault(moment, what).arm()
            mf.run(case, path, progress=False, comm=Alone())

        code = in_a_process(until)
        if code == 0:
            return (moment - 1) // stride
        assert code == expected, f"call {moment}: {code}, expected {expected}"
        check(case, path, folder / "whole", f"call {moment}")
    raise AssertionError("too many calls")


def in_each_size(case: mf.Case, folder: Path, stride: int) -> int:
    """No file may become larger than so many bytes."""
    largest = max(p.stat().st_size for p in (folder / "whole").iterdir())
    tried = 0
    for size in range(200, largest, max(1, stride * largest // 40)):
        path = folder / f"size-{size}"

        def until(size: int = size, path: Path = path) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            mf.run(case, path, progress=False, comm=Alone())

        code = in_a_process(until)
        assert code == 1, f"size {size}: {code}"
        check(case, path, folder / "whole", f"size {size}")
        tried += 1
    return tried


def main(kind: str, fault: str, folder: Path, stride: int) -> None:
    import tomllib

    case = mf.Case.from_dict(tomllib.loads(KINDS[kind]))
    warnings.simplefilter("ignore", mf.MeanfieldWarning)
    # Not in this process: copies of it would miss the threads of its kernels.
    if in_a_process(lambda: mf.run(case, folder / "whole", progress=False, comm=Alone())):
        sys.exit("the run itself fails")
    match fault:
        case "kill":
            print(at_each_call(case, folder, killed, -signal.SIGKILL, stride))
        case "refuse":
            print(at_each_call(case, folder, refused, 1, stride))
        case "size":
            print(in_each_size(case, folder, stride))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
