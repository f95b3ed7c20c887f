"""Tests of scripts/env that build nothing: the tools it calls are replaced by small stand-ins.

The stand-in of bubblewrap runs the command where it is, the one of mmdebstrap hands out a tiny tar
archive, the one of Python only writes down what it was asked for. So what is tested is the script's
own: what it calls, in which order, what it leaves behind when it is killed, and what it says.

No test looks at a clock: what has to wait does so until a test lets it go on, and HANG only ends
what would otherwise never end.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeVar

import pytest
from processes import HANG

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPT = REPOSITORY / "scripts" / "env"
T = TypeVar("T")
TOOLS = (
    "awk basename bash cat chmod cp cut date df dirname echo env find flock grep head id kill ls "
    "ln mkdir mktemp mv printf readlink rm sed sh sha256sum sleep sort tail tar touch tr true"
).split()

STAND_INS = {
    "mmdebstrap": """
        case ${FAKE_MMDEBSTRAP:-} in
          "") ;;
          wait) at_work ;;
          *) echo "$FAKE_MMDEBSTRAP" >&2; exit 1 ;;
        esac
        tar -c -C "$STUBS/root" .
    """,
    # Like the real one it stays as the parent; asked without "--" it tells whether it works at all.
    "bwrap": """
        printf '%s\\n' "$@" >"$STUBS/bwrap-arguments"
        [[ " $* " == *" -- "* ]] || exit "${FAKE_BWRAP:-0}"
        while [[ $1 != -- ]]; do shift; done
        shift
        command=("$@")
        for ((i = 1; i < $#; i++)); do # env [--default-signal=...] COMMAND
          [[ ${command[i]} == --default-signal=* ]] && continue
          case ${command[i]} in
            /usr/bin/python3 | */venv/bin/python) command[i]=$STUBS/python ;;
          esac
          break
        done
        PATH=$STUBS "${command[@]}" <&0 &
        wait $!
    """,
    "python": """
        case "$*" in
          "-m venv"*) mkdir -p "${@: -1}/bin"; cp "$0" "${@: -1}/bin/python" ;;
          "-m pip"*)
            case ${FAKE_PIP:-} in
              wait) at_work ;;
              no-wheel) [[ $* != *dolfinx* ]] || { echo "no such wheel" >&2; exit 1; } ;;
            esac ;;
          -c*CDLL*) exit 1 ;;
          -c*) [[ ${FAKE_H5PY-yes} == "" ]] || echo "h5py==3.0" ;;
          -*)
            text=$(cat)
            [[ $text != *petsc4py* ]] || echo "Python 3.13.1, DOLFINx 0.11.0" >"${@: -1}"
            if [[ $text == *screenshot* && -n ${FAKE_NO_EGL:-} && ! -e $STUBS/libegl1 ]]; then
              kill -SEGV $$
            fi ;;
        esac
    """,
    "apt-get": """
        case ${FAKE_APT:-}-$* in
          *" update"*) touch "$STUBS/lists" ;;
          fails-*) exit 1 ;;
          old-lists-*) [[ -e $STUBS/lists ]] || exit 1 ;;
        esac
        for word in "$@"; do # it "installs" what is kept aside
          case $word in
            bubblewrap) word=bwrap ;;
            libegl1) touch "$STUBS/libegl1" ;;
          esac
          [[ ! -e $STUBS/aside/$word ]] || mv "$STUBS/aside/$word" "$STUBS/$word"
        done
    """,
    "uname": "case $1 in -s) echo Linux ;; *) echo x86_64 ;; esac",
    "apt-cache": 'echo "  Candidate: ${FAKE_CANDIDATE:-(none)}"',
    "apt-config": "true",
    "dpkg": 'exec /usr/bin/dpkg "$@"',
    "unshare": 'shift; exec "$@"',
    "newuidmap": "true",
}
UV = """
    case "$*" in
      "python find"*) [[ -e $STUBS/of-uv ]] || exit 2; cat "$STUBS/of-uv" ;;
      "python install"*)
        [[ -n ${FAKE_FETCHED:-} ]] || exit 2
        echo "$FAKE_FETCHED" >"$STUBS/of-uv" ;;
      venv*) mkdir -p "${@: -1}/bin"; cp "$STUBS/python" "${@: -1}/bin/python" ;;
    esac
"""
# A Python that can be found: what the script asks it is answered by a real one, dressed up.
FOUND_PYTHON = """
    case "$*" in
      "-I -c"*) {ensurepip}; exit ;;
      "-I -"* | "-B -"*) shift 2; exec {real} -I -S -c {dress} "$@" ;;
      "-m venv"*) mkdir -p "${{@: -1}}/bin"; ln -s "$0" "${{@: -1}}/bin/python"; exit ;;
    esac
"""
DRESS = """
import os, platform, sys, sysconfig, types
sys.executable = sys._base_executable = {path!r}
sys.version_info = {version!r}
sysconfig.get_config_var = lambda name: int({threads!r})
platform.machine = lambda: {machine!r}
os.confstr = lambda name: {libc!r}
sys.modules.update(venv=types.ModuleType("venv"), ensurepip=None)
if {ensurepip!r}:
    sys.modules.update(ensurepip=types.ModuleType("ensurepip"))
if {dolfinx!r}:
    module = types.ModuleType("all of them")
    module.load_dolfinx = print
    module.__version__ = "0.10.0"
    sys.modules.update({{"meanfield": module, "meanfield.software": module, "dolfinx": module}})
exec(sys.stdin.read())
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("flock") is None, reason="needs Linux and flock"
)


class Checkout:
    """A copy of what scripts/env needs, with stand-ins for the tools it calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "check out"
        self.stubs = folder / "stubs"
        self.cache = folder / "ca che"
        self.home = folder / "home"
        self.sessions: list[subprocess.Popen[str]] = []
        (self.folder / "scripts").mkdir(parents=True)
        shutil.copy(SCRIPT, self.folder / "scripts" / "env")
        shutil.copy(REPOSITORY / "pyproject.toml", self.folder)
        (self.folder / "meanfield").mkdir()
        (self.folder / "meanfield" / "__init__.py").touch()
        # So that a DOLFINx of this machine is not found.
        (self.folder / "meanfield" / "software.py").write_text(
            "def load_dolfinx():\n    raise RuntimeError('no DOLFINx here')\n"
        )
        (self.stubs / "root" / "usr" / "bin").mkdir(parents=True)
        (self.stubs / "root" / "etc").mkdir()
        (self.stubs / "aside").mkdir()
        self.home.mkdir()
        for tool in TOOLS:
            path = shutil.which(tool, path="/usr/bin:/bin")
            assert path is not None, tool
            (self.stubs / tool).symlink_to(path)
        for name, text in STAND_INS.items():
            self.stand_in(self.stubs / name, text)
        self.environment = {
            "PATH": str(self.stubs),
            "STUBS": str(self.stubs),
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.cache),
            "MEANFIELD_ENV_KIND": "userland",
        }

    def stand_in(self, path: Path, text: str) -> None:
        name = path.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "#!/bin/bash\n"
            "at_work() {\n"
            '  echo $$ $(cut -d " " -f 5 /proc/$$/stat) >"$STUBS/pid"\n'
            "  until [[ -e $STUBS/go ]]; do sleep 0.05; done\n"
            "}\n"
            f'[[ {name} == bwrap ]] || echo "{name} $*" >>"$STUBS/calls"\n{text}'
        )
        path.chmod(0o755)

    def found_python(
        self,
        path: str | Path,
        *,
        version: tuple[int, ...] = (3, 13, 1),
        threads: bool = False,
        ensurepip: bool = True,
        libc: str = "glibc 2.36",
        machine: str = "x86_64",
        dolfinx: bool = False,
    ) -> Path:
        path = self.stubs / path
        dress = DRESS.format(
            path=str(path),
            version=version,
            threads=threads,
            ensurepip=ensurepip,
            libc=libc,
            machine=machine,
            dolfinx=dolfinx,
        )
        text = FOUND_PYTHON.format(
            ensurepip="true" if ensurepip else "false",
            real=shlex.quote(sys.executable),
            dress=shlex.quote(dress),
        )
        self.stand_in(path, text + STAND_INS["python"])
        return path

    def act_as(self, *, root: bool) -> None:
        script = self.folder / "scripts" / "env"
        text = script.read_text()
        line = "is_root() { [[ ${EUID:-$(id -u)} -eq 0 ]]; }"
        assert line in text
        script.write_text(text.replace(line, f"is_root() {{ {str(root).lower()}; }}"))

    def start(self, *command: str, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(self.folder / "scripts" / "env"), *command],
            env=self.environment | variables,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.sessions.append(process)
        return process

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*command, **variables)
        out, err = process.communicate(timeout=HANG)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def close(self) -> None:
        """End what a test that failed has left running."""
        sessions = {process.pid for process in self.sessions}
        for _ in range(100):  # they may be starting others
            left = []
            for file in Path("/proc").glob("[0-9]*/stat"):
                try:
                    state, _, _, session, *_ = file.read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if int(session) in sessions and state not in "ZX":
                    left.append(int(file.parent.name))
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not left:
                break
        for process in self.sessions:
            process.communicate(timeout=HANG)

    def calls(self, start: str = "") -> list[str]:
        file = self.stubs / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if line.startswith(start)]

    def forget_calls(self) -> None:
        (self.stubs / "calls").unlink()

    def wait_for_pid(self) -> tuple[int, int]:
        """Process and process group of the stand-in that is at work, as soon as there is one."""
        file = self.stubs / "pid"

        def words() -> list[str]:
            found = file.read_text().split() if file.exists() else []
            ended = all(process.poll() is not None for process in self.sessions)
            assert len(found) == 2 or not ended, "no stand-in was called"
            return found if len(found) == 2 else []

        process, group = wait_until(words)
        return int(process), int(group)

    def let_go(self) -> None:
        """Let the stand-in that is at work finish."""
        (self.stubs / "go").touch()

    def kind(self) -> str:
        """The branch that is remembered."""
        file = self.state / "kind"
        return file.read_text().strip() if file.exists() else ""

    def log(self) -> str:
        """What the logs say."""
        files = sorted((self.cache / "meanfield" / "log").iterdir())
        return "".join(file.read_text() for file in files)

    @property
    def state(self) -> Path:
        return self.folder / ".meanfield-env"

    @property
    def stamp(self) -> Path:
        return self.state / "userland" / "stamp"

    def parts(self) -> list[str]:
        return sorted(path.name for path in (self.cache / "meanfield").glob("*.part"))

    def userlands(self) -> list[str]:
        names = (path.name for path in (self.cache / "meanfield").glob("userland-*"))
        return sorted(name for name in names if not name.endswith(".part"))


def wait_until(condition: Callable[[], T]) -> T:
    end = time.monotonic() + HANG
    while not (value := condition()):
        assert time.monotonic() < end, "it hangs"
        time.sleep(0.02)
    return value


def first_line(stream: IO[str] | None) -> str:
    assert stream is not None
    assert select.select([stream], [], [], HANG)[0], "it hangs"
    return stream.readline()


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = Checkout(tmp_path)
    yield made
    made.close()


@pytest.fixture
def unforced(checkout: Checkout) -> Checkout:
    del checkout.environment["MEANFIELD_ENV_KIND"]
    return checkout


def direct(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Calls the script itself as it is called from inside its environment."""
    environment = dict(os.environ, MEANFIELD_ENV=str(REPOSITORY)) | variables
    return subprocess.run(
        [str(SCRIPT), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )


def test_usage() -> None:
    asked = direct("--help")
    assert asked.returncode == 0
    assert asked.stdout.startswith("usage: scripts/env [--help | --kernel] COMMAND")
    assert asked.stderr == ""
    nothing = direct()
    assert nothing.returncode == 2
    assert nothing.stdout == ""
    assert nothing.stderr.startswith("usage: scripts/env")
    wrong = direct("--wrong")
    assert wrong.returncode == 1
    assert "unknown option '--wrong'" in wrong.stderr


def test_no_host_is_named() -> None:
    text = SCRIPT.read_text()
    assert "://" not in text
    assert re.findall(r"\b[\w-]+\.(?:org|com|net|io|dev|edu|de|fr|uk)\b", text) == []


def test_inside_the_command_is_just_run() -> None:
    assert direct("sh", "-c", "echo out; exit 7").returncode == 7
    assert direct("sh", "-c", "echo out; exit 7").stdout == "out\n"
    unknown = direct("no-such-command")
    assert unknown.returncode == 127
    assert "no-such-command" in unknown.stderr
    other = direct("true", MEANFIELD_ENV="/somewhere/else")
    assert other.returncode == 1
    assert "environment of /somewhere/else already" in other.stderr


def test_first_call_sets_up_and_the_second_does_not(checkout: Checkout) -> None:
    first = checkout.run("sh", "-c", "echo only this; exit 5")
    assert first.returncode == 5, first.stderr
    assert first.stdout == "only this\n"
    assert all(line.startswith("scripts/env: ") for line in first.stderr.splitlines())
    assert checkout.stamp.read_text().splitlines()[1] == "userland"
    assert len(checkout.userlands()) == 1
    assert checkout.parts() == []
    (build,) = checkout.calls("mmdebstrap")
    assert "python3-dolfinx-real" in build and "python3-h5py-mpi" in build and "trixie" in build
    (install,) = checkout.calls("python -m pip")
    assert install.endswith(f"--editable {checkout.folder}[dev]")
    constraints = checkout.state / "userland" / "constraints.txt"
    assert constraints.read_text() == "h5py==3.0\n"

    second = checkout.run("no-such-command")
    assert second.returncode == 127
    assert "setting up" not in second.stderr
    assert len(checkout.calls("mmdebstrap")) == len(checkout.calls("python -m pip")) == 1


def test_kernel_for_jupyter(checkout: Checkout, tmp_path: Path) -> None:
    data = tmp_path / 'da"ta'
    made = checkout.run("--kernel", JUPYTER_DATA_DIR=str(data))
    assert made.returncode == 0 and made.stdout == "", made.stderr
    spec = json.loads((data / "kernels" / "meanfield" / "kernel.json").read_text())
    script = str(checkout.folder / "scripts" / "env")
    assert spec["argv"] == [script, "python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    assert (spec["language"], spec["env"]) == ("python", {"MEANFIELD_ENV_KIND": "userland"})
    assert checkout.kind() == "userland"

    (tmp_path / "file").touch()
    wrong = checkout.run("--kernel", JUPYTER_DATA_DIR=str(tmp_path / "file"))
    assert wrong.returncode == 1 and "cannot be made" in wrong.stderr
    assert checkout.run("--kernel", "python").returncode == 1
    inside = direct("--kernel")
    assert inside.returncode == 1 and "leave it first" in inside.stderr


def test_placeholders_are_plain_files(checkout: Checkout) -> None:
    (checkout.stubs / "root" / "etc" / "resolv.conf").symlink_to("../run/nothing")
    assert checkout.run("true").returncode == 0
    (name,) = checkout.userlands()
    for file in ("resolv.conf", "hosts", "passwd", "group", "pip.conf"):
        path = checkout.cache / "meanfield" / name / "etc" / file
        assert path.is_file() and not path.is_symlink()


def test_what_the_command_finds(checkout: Checkout, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    result = checkout.run(
        "env",
        OMP_NUM_THREADS="3",
        PYTHONPATH="/x",
        PIP_FIND_LINKS=str(wheels),
        SSL_CERT_FILE="/no/such/file",
    )
    found = dict(line.split("=", 1) for line in result.stdout.splitlines())
    assert found["OMP_NUM_THREADS"] == "3"
    assert found["OMPI_MCA_btl"] == "self,sm"
    assert found["VTK_DEFAULT_OPENGL_WINDOW"] == "vtkEGLRenderWindow"
    assert found["PIP_FIND_LINKS"] == str(wheels)
    assert found["MEANFIELD_ENV"] == str(checkout.folder)
    for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "XDG_CACHE_HOME"):
        assert found[name].startswith(str(checkout.cache / "meanfield"))
    assert "PYTHONPATH" not in found and "SSL_CERT_FILE" not in found
    arguments = (checkout.stubs / "bwrap-arguments").read_text().splitlines()
    assert arguments[arguments.index("--chdir") + 1] == str(checkout.folder)

    gone = checkout.run("env", PIP_FIND_LINKS="/no/such/folder", DISPLAY=":0")
    assert "PIP_FIND_LINKS" not in gone.stdout
    assert "VTK_DEFAULT_OPENGL_WINDOW" not in gone.stdout
    assert "OMP_NUM_THREADS=1\n" in gone.stdout


def test_killed_while_building_the_userland(checkout: Checkout) -> None:
    process = checkout.start("true", FAKE_MMDEBSTRAP="wait")
    _, group = checkout.wait_for_pid()
    process.kill()
    os.killpg(group, signal.SIGKILL)
    process.communicate(timeout=HANG)
    assert len(checkout.parts()) == 1
    assert checkout.userlands() == [] and not checkout.stamp.exists()
    (checkout.cache / "meanfield" / checkout.parts()[0] / "root" / "half").touch()

    again = checkout.run("echo", "repaired")
    assert (again.returncode, again.stdout) == (0, "repaired\n"), again.stderr
    assert "clearing away a set-up that was not finished" in again.stderr
    assert checkout.parts() == []
    (name,) = checkout.userlands()
    assert not (checkout.cache / "meanfield" / name / "half").exists()


def test_script_killed_but_not_its_children(checkout: Checkout) -> None:
    process = checkout.start("true", FAKE_MMDEBSTRAP="wait")
    checkout.wait_for_pid()
    process.kill()
    process.communicate(timeout=HANG)
    again = checkout.start("echo", "done")
    assert "waiting for it" in first_line(again.stderr)
    checkout.let_go()
    out, _ = again.communicate(timeout=HANG)
    assert (again.returncode, out) == (0, "done\n")
    assert len(checkout.calls("mmdebstrap")) == 1  # what the children finished is used
    assert checkout.parts() == []


def test_killed_while_installing_packages(checkout: Checkout) -> None:
    process = checkout.start("true", FAKE_PIP="wait")
    _, group = checkout.wait_for_pid()
    process.kill()
    os.killpg(group, signal.SIGKILL)
    process.communicate(timeout=HANG)
    assert not checkout.stamp.exists()
    rest = checkout.state / "userland" / "venv" / "half"
    rest.touch()
    assert checkout.run("true").returncode == 0
    assert not rest.exists()
    assert len(checkout.calls("mmdebstrap")) == 1
    assert len(checkout.calls("python -m venv")) == 2


def test_interrupted_politely(checkout: Checkout) -> None:
    process = checkout.start("true", FAKE_MMDEBSTRAP="wait")  # nobody lets it go on
    pid, _ = checkout.wait_for_pid()
    process.terminate()
    _, err = process.communicate(timeout=HANG)
    assert process.returncode == 130
    assert "set-up interrupted" in err
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    assert checkout.run("true").returncode == 0


def test_two_calls_at_once(checkout: Checkout) -> None:
    first = checkout.start("echo", "first", FAKE_MMDEBSTRAP="wait")
    checkout.wait_for_pid()
    second = checkout.start("echo", "second")
    line = first_line(second.stderr)
    assert "another call is setting up this checkout; waiting" in line
    checkout.let_go()
    for process, said in ((first, "first\n"), (second, "second\n")):
        out, _ = process.communicate(timeout=HANG)
        assert (process.returncode, out) == (0, said)
    assert len(checkout.calls("mmdebstrap")) == len(checkout.calls("python -m pip")) == 1


def test_changed_requirements_only_install_packages(checkout: Checkout) -> None:
    assert checkout.run("true").returncode == 0
    with (checkout.folder / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    changed = checkout.run("true")
    assert changed.returncode == 0
    assert len(checkout.calls("python -m pip")) == 2
    assert len(checkout.calls("mmdebstrap")) == len(checkout.calls("python -m venv")) == 1
    assert "setting up" not in checkout.run("true").stderr


def test_removed_userland_is_made_again(checkout: Checkout) -> None:
    assert checkout.run("true").returncode == 0
    shutil.rmtree(checkout.cache)
    again = checkout.run("echo", "back")
    assert (again.returncode, again.stdout) == (0, "back\n"), again.stderr
    assert len(checkout.calls("mmdebstrap")) == 2


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("Temporary failure resolving 'x'", "could not be reached. Check the network"),
        ("cannot write: No space left on device", "The disk is full. Free about 4 GB"),
        ("E: Could not get lock /var/lib/dpkg/lock", "Another program is using apt. Wait"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED]", "Name your authority's file in SSL_CERT_FILE"),
        ("something nobody thought of", "Run the same command again"),
    ],
)
def test_failures_say_what_to_do(checkout: Checkout, message: str, advice: str) -> None:
    failed = checkout.run("echo", "never", FAKE_MMDEBSTRAP=message)
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert message in failed.stderr
    assert advice in failed.stderr
    (log,) = (checkout.cache / "meanfield" / "log").iterdir()
    assert str(log) in failed.stderr
    assert message in log.read_text()
    assert checkout.parts() == [] and not checkout.stamp.exists()
    assert checkout.run("true").returncode == 0


@pytest.mark.parametrize("lists", ["", "old-lists"])
def test_missing_tools_are_installed(checkout: Checkout, lists: str) -> None:
    checkout.act_as(root=True)
    (checkout.stubs / "bwrap").rename(checkout.stubs / "aside" / "bwrap")
    result = checkout.run("true", FAKE_APT=lists)
    assert result.returncode == 0, result.stderr
    installs = checkout.calls("apt-get -o DPkg::Lock::Timeout=300 install")
    assert len(installs) == (2 if lists else 1)
    assert all(install.endswith(" bubblewrap") for install in installs)


def test_missing_tools_are_named(checkout: Checkout) -> None:
    checkout.act_as(root=False)
    (checkout.stubs / "bwrap").rename(checkout.stubs / "aside" / "bwrap")
    result = checkout.run("true")
    assert result.returncode == 1
    assert "sudo apt-get install -y bubblewrap" in result.stderr
    assert checkout.calls("apt-get") == []


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"FAKE_BWRAP": "1"}, "Use conda instead"),
        ({"MEANFIELD_ENV_KIND": "other"}, "must be python, wheel, apt or userland"),
        ({"MEANFIELD_ENV_KIND": "python"}, "python3 does not import dolfinx"),
        ({"MEANFIELD_ENV_KIND": "wheel"}, "Looked for python3 and python3.12 to python3.15 on the"),
        ({"MEANFIELD_ENV_KIND": "apt"}, "apt offers no python3-dolfinx"),
        (
            {"MEANFIELD_ENV_KIND": "apt", "FAKE_CANDIDATE": "1:0.5.2-2+b1"},
            "apt offers no python3-dolfinx",
        ),
    ],
)
def test_what_cannot_work_is_said(
    checkout: Checkout, variables: dict[str, str], message: str
) -> None:
    result = checkout.run("echo", "never", **variables)
    assert (result.returncode, result.stdout) == (1, "")
    assert message in result.stderr
    assert checkout.calls("mmdebstrap") == []


@pytest.mark.skipif(not Path("/usr/bin/dpkg").exists(), reason="needs dpkg")
def test_apt_line_for_users(checkout: Checkout) -> None:
    checkout.act_as(root=False)
    result = checkout.run("true", MEANFIELD_ENV_KIND="apt", FAKE_CANDIDATE="1:0.9.0-1")
    assert result.returncode == 1
    assert "sudo apt-get install -y --no-install-recommends python3-dolfinx-real" in result.stderr


def test_signals_reach_the_command(checkout: Checkout) -> None:
    assert checkout.run("true").returncode == 0
    ends: dict[signal.Signals, tuple[str, int]] = {
        signal.SIGTERM: ("trap 'echo heard; exit 42' TERM", 42),
        signal.SIGINT: ("trap 'echo heard; exit 43' INT", 43),
        signal.SIGUSR1: ("trap 'echo heard; exit 44' USR1", 44),
    }
    for number, (trap, code) in ends.items():
        process = checkout.start("bash", "-c", f"{trap}; echo up; while :; do sleep .05; done")
        assert first_line(process.stdout) == "up\n"
        process.send_signal(number)
        out, _ = process.communicate(timeout=HANG)
        assert (out, process.returncode) == ("heard\n", code)


def test_warm_calls_start_nothing_but_the_command(unforced: Checkout) -> None:
    """Which makes them quick: Python alone would take longer than all the rest."""
    unforced.found_python("python3.13")
    for kind in ("wheel", "userland"):
        assert unforced.run("true", MEANFIELD_ENV_KIND=kind).returncode == 0
    unforced.forget_calls()
    for kind in ("wheel", "userland", ""):
        warm = unforced.run("echo", "warm", MEANFIELD_ENV_KIND=kind)
        assert (warm.returncode, warm.stdout, warm.stderr) == (0, "warm\n", "")
    assert unforced.calls() == []


def test_wheel(unforced: Checkout) -> None:
    python = unforced.found_python("python3.13")
    first = unforced.run("sh", "-c", "echo only this; exit 5", PYTHONPATH="/x")
    assert first.returncode == 5, first.stderr
    assert first.stdout == "only this\n"
    assert all(line.startswith("scripts/env: ") for line in first.stderr.splitlines())
    assert "ready (wheel, Python 3.13.1, DOLFINx 0.11.0); this was needed only once." in (
        first.stderr
    )
    venv = unforced.state / "wheel" / "venv"
    assert unforced.calls("python3.13 -m venv") == [f"python3.13 -m venv {venv}"]
    (install,) = unforced.calls("python3.13 -m pip")
    assert install == f"python3.13 -m pip install --editable {unforced.folder}[dolfinx,dev]"
    assert unforced.calls("mmdebstrap") == unforced.calls("apt") == []
    stamp = (unforced.state / "wheel" / "stamp").read_text().splitlines()
    assert stamp[1:] == ["wheel", str(python.resolve()), "-"]
    assert unforced.kind() == "wheel"

    inside = dict(
        line.split("=", 1) for line in unforced.run("env", PYTHONPATH="/x").stdout.splitlines()
    )
    assert inside["PATH"] == f"{venv}/bin:{unforced.stubs}"
    assert inside["PYTHONNOUSERSITE"] == "1"
    assert inside["PYTHONPATH"] == "/x"  # the user's own, and only for the command
    assert "UCX_TLS" not in inside


@pytest.mark.parametrize(
    ("traits", "why"),
    [
        ({"version": (3, 11, 9)}, "3.12 to 3.15"),
        ({"version": (3, 16, 0)}, "3.12 to 3.15"),
        ({"threads": True}, "not free-threaded"),
        ({"ensurepip": False}, "with venv and ensurepip"),
        ({"libc": "glibc 2.31"}, "on glibc 2.34 or later"),
        ({"libc": "musl"}, "on glibc 2.34 or later"),
        ({"machine": "aarch64"}, "for Linux on x86_64"),
    ],
)
def test_pythons_that_the_wheel_does_not_fit(
    unforced: Checkout, traits: dict[str, object], why: str
) -> None:
    unforced.found_python("python3", **traits)  # type: ignore[arg-type]
    result = unforced.run("echo", "done")
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr
    assert f"not used, it is not {why}" in unforced.log()
    assert unforced.kind() == "userland"
    assert "ready (userland" in result.stderr
    assert ("sudo apt-get install python3-venv" in result.stderr) == (why.startswith("with venv"))

    # This one would do, were it looked for.
    unforced.found_python("python3.14", version=(3, 14, 0))
    unforced.forget_calls()
    assert unforced.run("true").returncode == 0
    assert unforced.calls() == []
    assert unforced.run("true", MEANFIELD_ENV_KIND="wheel").returncode == 0
    assert len(unforced.calls("python3.14 -m pip")) == 1


def test_shims_are_looked_behind(unforced: Checkout) -> None:
    """Those of pyenv are on the PATH also for versions that are not in use."""
    for name in ("python3", "python3.12"):
        unforced.stand_in(unforced.stubs / name, f"echo 'pyenv: {name}: not found' >&2; exit 127")
    versions = unforced.home / ".pyenv" / "versions"
    unforced.found_python(versions / "3.10.1" / "bin" / "python", version=(3, 10, 1))
    python = unforced.found_python(versions / "3.13.1" / "bin" / "python")
    result = unforced.run("true")
    assert result.returncode == 0, result.stderr
    assert "python3.12: not found" in unforced.log()
    assert (unforced.state / "wheel" / "stamp").read_text().splitlines()[2] == str(python.resolve())


def test_pyenv_root(unforced: Checkout, tmp_path: Path) -> None:
    unforced.found_python(tmp_path / "py env" / "versions" / "3.12.1" / "bin" / "python")
    assert unforced.run("true", PYENV_ROOT=str(tmp_path / "py env")).returncode == 0
    assert unforced.kind() == "wheel"


@pytest.mark.parametrize("place", [".local/bin", ".cargo/bin"])
def test_pythons_of_uv(unforced: Checkout, tmp_path: Path, place: str) -> None:
    unforced.stand_in(unforced.home / place / "uv", UV)
    python = unforced.found_python(tmp_path / "python3.13")
    (unforced.stubs / "of-uv").write_text(f"{python}\n")
    assert unforced.run("true").returncode == 0
    assert unforced.kind() == "wheel"
    assert unforced.calls("uv python install") == unforced.calls("uv venv") == []


def test_uv_fetches_a_python(unforced: Checkout, tmp_path: Path) -> None:
    unforced.stand_in(unforced.stubs / "uv", UV)
    python = unforced.found_python(tmp_path / "python3.13")
    result = unforced.run("true", FAKE_FETCHED=str(python))
    assert result.returncode == 0, result.stderr
    assert "fetching Python 3.13 with uv" in result.stderr
    assert unforced.kind() == "wheel"


def test_uv_without_a_network(unforced: Checkout) -> None:
    unforced.stand_in(unforced.stubs / "uv", UV)
    result = unforced.run("true")
    assert result.returncode == 0, result.stderr
    assert "uv gave none that the wheel of DOLFINx fits" in result.stderr
    assert unforced.kind() == "userland"


def test_uv_makes_the_venv_where_debian_leaves_ensurepip_out(unforced: Checkout) -> None:
    unforced.stand_in(unforced.stubs / "uv", UV)
    python = unforced.found_python("python3.12", version=(3, 12, 3), ensurepip=False)
    result = unforced.run("true")
    assert result.returncode == 0, result.stderr
    venv = unforced.state / "wheel" / "venv"
    assert unforced.calls("uv venv") == [f"uv venv --seed --python {python.resolve()} {venv}"]
    assert unforced.calls("python3.12 -m venv") == []


def test_wheel_that_cannot_be_installed(unforced: Checkout) -> None:
    unforced.found_python("python3.13")
    forced = unforced.run("echo", "never", FAKE_PIP="no-wheel", MEANFIELD_ENV_KIND="wheel")
    assert (forced.returncode, forced.stdout) == (1, "")
    assert "no such wheel" in forced.stderr and "Run the same command again" in forced.stderr
    assert unforced.calls("mmdebstrap") == [] and unforced.kind() == ""

    result = unforced.run("echo", "done", FAKE_PIP="no-wheel")
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr
    assert "the wheel of DOLFINx could not be installed (why: " in result.stderr
    assert "ready (userland" in result.stderr
    assert unforced.kind() == "userland"
    assert not (unforced.state / "wheel").exists()


def test_wheel_that_has_served_is_not_given_up(unforced: Checkout) -> None:
    """What is missing then is a network or a name spelt right, not two gigabytes more."""
    unforced.found_python("python3.13")
    assert unforced.run("true").returncode == 0
    with (unforced.folder / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    failed = unforced.run("echo", "never", FAKE_PIP="no-wheel")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "Another way than the wheel can be had with MEANFIELD_ENV_KIND" in failed.stderr
    assert unforced.calls("mmdebstrap") == [] and unforced.kind() == "wheel"
    assert unforced.run("true").returncode == 0
    assert (unforced.state / "wheel" / "stamp").exists()


def test_errors_within_a_step_end_it(unforced: Checkout) -> None:
    """A step whose first command fails must not go on to the next, as after "if" it would."""
    python = unforced.found_python("python3", dolfinx=True)
    python.write_text(python.read_text().replace("-c*) [[", "-c*) exit 1; [["))
    assert unforced.run("true").returncode == 1
    assert unforced.calls("python3 -c") != [] and unforced.calls("python3 -m pip") == []


def test_two_branches_side_by_side(unforced: Checkout) -> None:
    unforced.found_python("python3.13")
    assert unforced.run("true").returncode == 0
    mark = unforced.state / "wheel" / "venv" / "mark"
    mark.touch()
    second = unforced.run("env", MEANFIELD_ENV_KIND="userland")
    assert second.returncode == 0, second.stderr
    assert f"VIRTUAL_ENV={unforced.state}/userland/venv\n" in second.stdout
    assert unforced.kind() == "wheel"
    assert mark.exists()
    for kind, venv in (("", "wheel"), ("wheel", "wheel"), ("userland", "userland")):
        warm = unforced.run("env", MEANFIELD_ENV_KIND=kind)
        assert f"VIRTUAL_ENV={unforced.state}/{venv}/venv\n" in warm.stdout
        assert warm.stderr == ""

    with (unforced.folder / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert unforced.run("true").returncode == 0
    assert mark.exists()  # only brought up to date
    assert len(unforced.calls("python3.13 -m pip")) == 2
    assert len(unforced.calls("python -m pip")) == 1
    assert "ready (userland" in unforced.run("true", MEANFIELD_ENV_KIND="userland").stderr
    assert len(unforced.calls("python -m pip")) == 2


def test_what_was_asked_for_first_is_remembered(unforced: Checkout) -> None:
    unforced.found_python("python3.13")
    assert unforced.run("true", MEANFIELD_ENV_KIND="userland").returncode == 0
    assert unforced.kind() == "userland"
    assert unforced.run("true").stderr == ""
    with (unforced.folder / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert "ready (userland" in unforced.run("true").stderr
    assert unforced.calls("python3.13") == []
    shutil.rmtree(unforced.cache)  # then nothing speaks for it any more
    assert "ready (wheel" in unforced.run("true").stderr
    assert unforced.kind() == "wheel"


def test_python_that_is_gone(unforced: Checkout) -> None:
    versions = unforced.home / ".pyenv" / "versions"
    unforced.found_python(versions / "3.12.1" / "bin" / "python", version=(3, 12, 1))
    assert unforced.run("true").returncode == 0
    mark = unforced.state / "wheel" / "venv" / "mark"
    mark.touch()
    shutil.rmtree(versions / "3.12.1")
    other = unforced.found_python(versions / "3.13.1" / "bin" / "python")
    again = unforced.run("echo", "back")
    assert (again.returncode, again.stdout) == (0, "back\n"), again.stderr
    assert "clearing away wheel in .meanfield-env" in again.stderr
    assert not mark.exists()
    assert (unforced.state / "wheel" / "stamp").read_text().splitlines()[2] == str(other.resolve())

    shutil.rmtree(versions)
    last = unforced.run("echo", "back")
    assert (last.returncode, last.stdout) == (0, "back\n"), last.stderr
    assert unforced.kind() == "userland"
    assert not (unforced.state / "wheel").exists()


def test_layout_of_earlier_versions_is_cleared_away(checkout: Checkout) -> None:
    (checkout.state / "venv" / "bin").mkdir(parents=True)
    for name in ("stamp", "constraints.txt"):
        (checkout.state / name).touch()
    assert checkout.run("true").returncode == 0
    assert sorted(path.name for path in checkout.state.iterdir()) == ["kind", "lock", "userland"]


@pytest.mark.parametrize(
    ("own", "extra"), [("yes", "[dev]"), ("", "[dolfinx,dev]")], ids=["own", "wheel"]
)
def test_dolfinx_of_the_python_in_use(unforced: Checkout, own: str, extra: str) -> None:
    """Its h5py stays, unless its DOLFINx is the wheel: with that, h5py is pip's."""
    python = unforced.found_python("python3", version=(3, 12, 1), dolfinx=True)
    result = unforced.run("env", FAKE_H5PY=own)
    assert result.returncode == 0, result.stderr
    venv = unforced.state / "python" / "venv"
    assert f"PATH={venv}/bin:{python.parent}:" in result.stdout
    assert unforced.calls("python3 -m venv") == [f"python3 -m venv --system-site-packages {venv}"]
    (install,) = unforced.calls("python3 -m pip")
    assert install.endswith(f" --editable {unforced.folder}{extra}")
    assert (" --constraint " in install) == (own != "")
    assert unforced.kind() == "python"


def test_mpi_of_a_venv_with_the_wheel(unforced: Checkout, tmp_path: Path) -> None:
    """mpi4py would not look for it there from the venv on top of that."""
    theirs = tmp_path / "their venv"
    unforced.found_python(theirs / "bin" / "python3", version=(3, 12, 1), dolfinx=True)
    (theirs / "lib").mkdir()
    (theirs / "lib" / "libmpi.so.12").touch()
    path = f"{theirs}/bin:{unforced.stubs}"
    assert "MPI4PY_LIBMPI" not in unforced.run("env", PATH=path, FAKE_H5PY="").stdout
    (theirs / "pyvenv.cfg").touch()
    line = f"MPI4PY_LIBMPI={theirs}/lib/libmpi.so.12\n"
    assert line in unforced.run("env", PATH=path).stdout
    assert "MPI4PY_LIBMPI=other\n" in unforced.run("env", PATH=path, MPI4PY_LIBMPI="other").stdout
    assert unforced.kind() == "python"


def test_python_too_old_for_the_package(unforced: Checkout) -> None:
    unforced.found_python("python3", version=(3, 10, 1), dolfinx=True)
    assert unforced.run("true").returncode == 0
    assert "not used: Python is older than 3.11" in unforced.log()
    assert unforced.kind() == "userland"


def test_drawing_that_needs_libegl1(unforced: Checkout) -> None:
    unforced.act_as(root=True)
    unforced.found_python("python3.13")
    result = unforced.run("echo", "done", FAKE_NO_EGL="1")
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr
    (install,) = unforced.calls("apt-get")
    assert install.endswith(" --no-install-recommends libegl1 libgl1-mesa-dri")
    assert "drawing it again" in result.stderr
    assert "cannot draw" not in result.stderr
    assert "Segmentation fault" not in result.stderr and "Segmentation fault" in unforced.log()


@pytest.mark.parametrize(
    ("root", "apt", "advice"),
    [
        (False, True, "(libegl1 is missing: sudo apt-get install libegl1 libgl1-mesa-dri);"),
        (True, True, "(libegl1 is missing: sudo apt-get install libegl1 libgl1-mesa-dri);"),
        (True, False, "(libEGL.so.1 is missing; your package manager has it);"),
    ],
)
def test_drawing_that_does_not_work(unforced: Checkout, root: bool, apt: bool, advice: str) -> None:
    unforced.act_as(root=root)
    unforced.found_python("python3.13")
    if not apt:
        (unforced.stubs / "apt-get").unlink()
    result = unforced.run("echo", "done", FAKE_NO_EGL="1", FAKE_APT="fails")
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr
    assert f"VTK cannot draw off-screen here {advice}" in result.stderr
    assert "drawn by matplotlib and do not need it" in result.stderr
    assert (unforced.calls("apt-get") != []) == (root and apt)
    assert unforced.run("true").stderr == ""
