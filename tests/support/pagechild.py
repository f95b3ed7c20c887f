"""Runs the python blocks of one page, in one process; ``pagerun`` starts it and tells JSON lines.

Each line of standard input has ``path``, ``line``, ``code`` and ``then``. The answer, a line on the
stream that was standard output at the start, has ``raised`` (None, or the names of the classes of
what was raised) and ``said``: what the block printed, with the traceback.
"""

import contextlib as _contextlib
import io as _io
import json as _json
import linecache as _linecache
import os as _os
import sys as _sys
import traceback as _traceback


def _run(path, line, code, then):
    """Run a block as lines of its page, in the names of ``__main__``."""
    names = _sys.modules["__main__"].__dict__
    padded = "\n" * (line - 1) + code
    # Tracebacks, inspect.getsource and what hashes functions read the code from here.
    _linecache.cache[path] = (len(padded), None, padded.splitlines(keepends=True), path)
    try:
        exec(compile(padded, path, "exec"), names)
        for expression in then:
            if not eval(expression, names):
                raise AssertionError(f"not so after the block: {expression}")
    except BaseException as error:
        _traceback.print_exc()
        return [kind.__name__ for kind in type(error).__mro__]
    return None


def _main():
    _sys.path[0] = ""  # modules beside the page's files, as for a script there
    answers = _os.fdopen(_os.dup(1), "w", buffering=1)
    with open(_sys.argv[1], "w") as beside:  # what libraries write by themselves
        for stream in (1, 2):
            _os.dup2(beside.fileno(), stream)
    for told in _sys.stdin:
        said = _io.StringIO()
        with _contextlib.redirect_stdout(said), _contextlib.redirect_stderr(said):
            raised = _run(**_json.loads(told))
        print(_json.dumps({"raised": raised, "said": said.getvalue()}), file=answers)


if __name__ == "__main__":
    _main()
