"""Runs the blocks of a page in a scratch folder, in the order of the page.

The folder has copies of scripts/ and meshes/ (a page cannot write into the sources), and ``bin``,
by which ``meanfield``, ``python`` and ``mpiexec`` are those of this environment, and whatever would
change a machine (``pip``, ``docker``, ``sbatch`` ...) fails.
"""

from __future__ import annotations

import json
import re
import select
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from blocks import Block, PageError
from processes import HANG, ROOT, Ended, Job, launcher

import meanfield as mf

__all__ = ["Page", "whole_case"]

_NEVER = (
    "pip", "pip3", "conda", "mamba", "pixi", "uv", "docker", "podman", "apptainer", "apt",
    "apt-get", "sudo", "sbatch", "srun", "module", "git", "curl", "wget", "paraview", "pvpython",
    "jupyter",
)  # fmt: skip
_TESTS = re.compile(r"^\s*(?:scripts/env )?(?:python -m )?(?:pytest|\.ci/run)\b.*", re.M)
"""Lines that would run the tests inside of a test: left out."""
_ENV = re.compile(r"(?<![\w./-])(?:\./)?scripts/env (?=[\w.])")
_BASH = """set -eE -o pipefail
trap 'code=$?; printf "@@ %s %s\\n" "$LINENO" "$BASH_COMMAND" >&2; trap - ERR; exit $code' ERR
source "$1"
"""
_SMALL: dict[str, Any] = {
    "geometry": {"type": "sphere", "level": 2},
    "model": {"attention": "sa", "beta": 2.0},
    "initial": {"type": "von-mises-fisher", "mean": [0.0, 0.0, 1.0], "concentration": 2.0},
    "time": {"end": 1.0},
}
"""What parts of a case are put into."""
_SHORT = {
    "interaction": {"attention", "beta"},
    "heads": {"beta"},
    "pretrained": {"attention", "beta"},
}
"""Keys of a model that go where one of these stands."""


def whole_case(part: dict[str, Any]) -> dict[str, Any]:
    """A part of a case within a small one; a case with geometry and time as it is."""
    if {"geometry", "time"} <= part.keys():
        return part
    model = part.get("model", {})
    gone = set[str]().union(*(_SHORT[key] for key in _SHORT if key in model))
    base = {**_SMALL, "model": {k: v for k, v in _SMALL["model"].items() if k not in gone}}
    return _merged(base, part)


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    made = dict(old)
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(made.get(key), dict)
        same = both and ("type" not in value or value["type"] == made[key].get("type"))
        made[key] = _merged(made[key], value) if same else value
    return made


class Page:
    """A page that is run.

    Args:
        name: its path from the root.
        folder: an empty folder.

    Attributes:
        left_out: lines of sh blocks that were not run, as they run tests.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.left_out: list[str] = []
        self._child: Job | None = None
        self._path = f"{folder / 'bin'}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        self._lay_out()

    def _lay_out(self) -> None:
        made = shutil.ignore_patterns("__pycache__", "env", "results")
        for name in ("scripts", "meshes"):
            shutil.copytree(ROOT / name, self.folder / name, ignore=made)
        scripts = {
            "python": f'exec {sys.executable} "$@"',
            "meanfield": f'exec {sys.executable} -m meanfield "$@"',
            **dict.fromkeys(
                _NEVER, "echo this is not run in a test, say so before the block >&2; exit 97"
            ),
        }
        if command := launcher():
            scripts["mpiexec"] = scripts["mpirun"] = f'exec {" ".join(command)} "$@"'
        place = self.folder / "bin"
        place.mkdir()
        for name, line in scripts.items():
            (place / name).write_text(f"#!/bin/sh\n{line}\n", "utf-8")
            (place / name).chmod(0o755)

    def run(self, found: list[Block]) -> None:
        """Run all blocks. If one fails: a PageError with line, command and what it said."""
        try:
            for block in found:
                self.one(block)
        finally:
            if self._child is not None:
                self._child.close()

    def one(self, block: Block) -> None:
        """Run a block, with what its directives want before and after."""
        for command in block.first:
            self._shell(block, command, "before the block")
        code = block.changed()
        if block.file:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code, "utf-8")
        match block.kind:
            case "sh":
                self._sh(block, code)
            case "python":
                self._python(block, code)
            case "toml":
                self._toml(block, code)

    # ------------------------------------------------------------------ the languages

    def _shell(self, block: Block, command: str, what: str) -> None:
        ended = self._bash(_ENV.sub("", command), PYTHONPATH=str(Path(__file__).parent))
        if ended.code != 0:
            raise PageError(block.page, block.line, f"{what}: {command}\n{ended.said}")

    def _bash(self, code: str, *options: str, **variables: str) -> Ended:
        script = self.folder / "bin" / "block.sh"
        script.write_text(code, "utf-8")
        words = (
            ("bash", *options, str(script))
            if options
            else ("bash", "-c", _BASH, "bash", str(script))
        )
        if given := variables.pop("PYTHONPATH", ""):  # helpers of tests
            variables["PYTHONPATH"] = f"{ROOT}:{given}"
        usual = {"PATH": self._path, "COLUMNS": "100", "MEANFIELD_NUM_THREADS": "1"}
        job = Job(words, self.folder, **usual, **variables)
        try:
            return job.finish()
        finally:
            job.close()

    def _sh(self, block: Block, code: str) -> None:
        if block.not_run or block.file:
            ended = self._bash(code, "-n")
            if ended.code != 0:
                raise PageError(block.page, block.line, f"bash cannot read this:\n{ended.said}")
            return
        self.left_out += _TESTS.findall(code)
        code = _ENV.sub("", _TESTS.sub(":", code))
        if "scripts/env" in code:
            raise PageError(block.page, block.line, "scripts/env sets up an environment: not run?")
        ended = self._bash(code)
        if ended.code != block.exit:
            at = re.search(r"^@@ (\d+) (.*)", ended.err, re.M)
            line, command = (int(at[1]), at[2]) if at else (1, code)
            what = f"{command}\nexit code {ended.code}, not {block.exit}:\n{ended.said}"
            raise PageError(block.page, block.line + line - 1, what)
        for command in block.then:
            self._shell(block, command, "not so after the block")

    def _python(self, block: Block, code: str) -> None:
        if block.not_run or block.file:
            compile(code, f"{block.page}:{block.line}", "exec")
            return
        told = {"path": block.page, "line": block.line, "code": code, "then": block.then}
        answer = self._ask(json.dumps(told))
        raised, said = answer["raised"] or [], answer["said"]
        good = "InputError" in raised if block.exit else not raised
        if not good:
            place = re.findall(rf'File "{re.escape(block.page)}", line (\d+)', said)
            line = int(place[-1]) if place else block.line
            what = raised[0] if raised else "no InputError"
            raise PageError(block.page, line, f"{what}:\n{said}")

    def _ask(self, line: str) -> dict[str, Any]:
        log = self.folder / "bin" / "child.log"
        if self._child is None:
            self._child = Job(
                (sys.executable, str(Path(__file__).with_name("pagechild.py")), str(log)),
                self.folder,
                stdin=subprocess.PIPE,
                PATH=self._path,
                MPLBACKEND="agg",
                MEANFIELD_NUM_THREADS="1",
            )
        process = self._child.process
        assert process.stdin is not None and process.stdout is not None
        print(line, file=process.stdin, flush=True)
        ready, _, _ = select.select([process.stdout], [], [], HANG)
        answer = process.stdout.readline() if ready else ""
        if not answer:
            how = f"ended with {process.poll()}" if ready else f"nothing after {HANG:g} s"
            raise AssertionError(f"{self.name}: Python {how}: {line}\n{log.read_text('utf-8')}")
        return json.loads(answer)

    def _toml(self, block: Block, code: str) -> None:
        try:
            table = tomllib.loads(code)
        except tomllib.TOMLDecodeError as error:
            raise PageError(block.page, block.line, f"TOML: {error}") from None
        if block.not_run or (block.file and not {"geometry", "model"} & table.keys()):
            return  # what other programs read, such as .taplo.toml
        try:
            mf.Case.from_dict(whole_case(table), self.folder)
        except mf.InputError as error:
            if block.exit == 0:
                raise PageError(block.page, block.line, str(error)) from None
        else:
            if block.exit:
                raise PageError(block.page, block.line, "is no wrong case")
