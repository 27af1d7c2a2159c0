"""No text of a model, a data set or a recipe is executed: by reading our code, by trying, and by taking the means."""

import ast
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from polaris.grading import sandbox
from polaris.grading.answers import DIFFERENT, EQUIVALENT
from polaris.grading.grading_pool import GradingPool
from polaris.stage import code
from tests.helpers.answer_pairs import OTHER, SAME

# What makes code of a text, or calls what does: sympy's parsers, and its functions that take a text for an expression.
RUNS_TEXT = {
    "eval", "exec", "compile", "__import__", "__builtins__", "parse_expr", "sympify", "lambdify", "nsimplify",
    "parse_latex", "parse_mathematica", "parse_maxima", "ExprExtractionConfig", "run_path", "run_module",
}  # fmt: skip
RUNS_TEXT_WHEN_CALLED = {"S", "Number"}  # of sympy: else a namespace and a type
MODULES = ("sympy.parsing", "sympy.core.sympify", "sympy.utilities.lambdify", "builtins", "runpy", "code", "pickle")


def found(source: str) -> list[str]:
    """What of the above a module uses, under whatever alias: where it is imported, named or looked up by name."""
    tree, names = ast.parse(source), []
    ours = {alias.asname or alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
            for alias in node.names if (node.module or "").split(".")[0] in code.PACKAGES}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            base = f"{node.module}." if isinstance(node, ast.ImportFrom) and node.module else ""
            for alias in node.names:
                name = base + alias.name
                if (
                    name.startswith(tuple(f"{module}." for module in MODULES))
                    or name in MODULES
                    or base.split(".")[0] not in code.PACKAGES
                    and alias.name in RUNS_TEXT | RUNS_TEXT_WHEN_CALLED | {"*"}
                ):
                    names.append(name)
        elif isinstance(node, ast.Name) and node.id in RUNS_TEXT:
            names.append(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr in RUNS_TEXT:
            if (owner := ast.unparse(node.value)) not in ours | {"re"}:  # re.compile
                names.append(f"{owner}.{node.attr}")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in RUNS_TEXT_WHEN_CALLED:
            names.append(ast.unparse(node.func))
        elif isinstance(node, ast.Constant) and node.value in RUNS_TEXT - {"compile"}:  # getattr(sympy, "sympify")
            names.append(node.value)
    return names


@pytest.mark.parametrize("file", code.closure("polaris.grading.grading_worker").items(), ids=lambda item: item[0])
def test_what_grades_calls_nothing_that_runs_text(file):
    assert found(file[1].read_text()) == []


@pytest.mark.parametrize(
    "planted",
    ["eval(x)", "e = eval\ne(x)", "import builtins as b\nb.exec(x)", "from sympy.parsing import sympy_parser as p",
     "from sympy import sympify as s\ns(x)", "import sympy as q\nq.S(x)", "import sympy\nsympy.lambdify(a, x)",
     "getattr(sympy, 'parse_expr')(x)", "from sympy import *", "sympy.Number(x)", "compile(x, '', 'eval')",
     "from math_verify import ExprExtractionConfig as E", "from sympy.parsing.latex import parse_latex as l",
     "def f():\n    from sympy.utilities.lambdify import lambdify", "import importlib as i\ni.__import__(x)"],
)  # fmt: skip
def test_a_planted_call_is_found(planted):
    assert found(planted)
    assert not found("import re\nimport sympy\nre.compile(x)\nsympy.Integer(int(x))\nsympy.S.Half\nmodel.eval = None")


def roman(python: str) -> str:
    """A text that V1's filter of letters passes: small roman numerals are no letters, but Python reads them as such.

    `im` takes a text for an expression, and the format `c` spells one by numbers.
    """
    return "f\"{ⅰⅿ(f'" + "".join(f"{{{ord(letter)}:c}}" for letter in python) + "')}\""


def tricks(file: Path) -> list[str]:
    """Answers that would write the file if any part of them ran."""
    write = f"open('{file}','w')"
    modules = "polaris.grading.deepscaler_equal as d, polaris.grading.equality.acceptance as m"
    flip = f"import {modules}; d.equal = m.equal_texts = lambda *x: True"
    return [
        roman(write),
        roman(f'exec("{flip}")'),
        write,
        f'f"{{{write}}}"',
        f"__import__('os').system('touch {file}')",
        f"𝐨𝐬.𝐬𝐲𝐬𝐭𝐞𝐦('touch {file}')",
        f"𝐨𝐩𝐞𝐧('{file}','w')",
        f"(lambda:{write})()",
        f"[{write} for x in (1,)]",
        f"x.__class__.__init__.__globals__['open']('{file}','w')",
        f"x if {write} else x",
        f"0)&({write}",
        rf"\operatorname{{eval}}({write})",
        rf"\text{{{write}}}",
        rf"x_{{{write}}}+1",
        rf"\gcd({write},2)",
        rf"\variable{{{write}}}",
        rf"\frac{{{write}}}{{2}}",
        rf"\mathrm{{eval}}\left({write}\right)",
    ]


NEIGHBOURS = [
    ("x+1", "1+x", EQUIVALENT),
    ("x+1", "2+x", DIFFERENT),
    ("2/3", "x", DIFFERENT),
    ("2^3", "0)&(0", DIFFERENT),
]


@pytest.mark.parametrize("grader", ["polaris", "deepscaler"])
@pytest.mark.slow
def test_no_trick_writes_the_canary_or_turns_a_neighbour(grader, tmp_path):
    canary = tmp_path / "c"
    hostile = [pair for text in tricks(canary) for pair in ((["2^3"], text), ([text], "2^3"))]
    neighbours = [([gold], answer) for gold, answer, _ in NEIGHBOURS]
    with GradingPool(timeout=20, workers=1, grader=grader) as pool:
        verdicts = pool.grade_answers(hostile + neighbours)
    assert [verdict for verdict in verdicts[: len(hostile)] if verdict.correct] == []
    assert [verdict.reason for verdict in verdicts[len(hostile) :]] == [reason for _, _, reason in NEIGHBOURS]
    assert not canary.exists()


@pytest.mark.slow
def test_not_even_a_grader_without_its_sandbox_compiles_text(tmp_path):
    """An audit hook sees each text that becomes code, numbers and names of the tables of pairs included."""
    pairs = [*(("2^3", text) for text in tricks(tmp_path / "c")), *SAME, *OTHER]
    script = (
        "import os, sys\n"
        "os.environ['SYMPY_GROUND_TYPES'] = 'python'\n"
        "from polaris.grading import grading_worker as worker, sandbox\n"
        "worker.prepare()\n"
        "texts = []\n"
        "def hook(event, args):\n"
        "    if event == 'compile' and sys._getframe(1).f_globals['__name__'] not in sandbox.WRITE_FUNCTIONS:\n"
        "        texts.append(args[0])\n"
        "sys.addaudithook(hook)\n"
        f"for gold, answer in {pairs!r}:\n"
        "    for verdict in worker.VERDICTS.values():\n"
        "        verdict([gold], answer)\n"
        "seen = texts[:]\n"
        "compile('1', '', 'eval')\n"
        "print(seen, len(texts) - len(seen))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=code.ROOT, check=True)
    assert done.stdout == "[] 1\n", done.stdout
    assert not list(tmp_path.iterdir())


DEEDS = {
    "write": lambda folder: open(folder / "new", "w"),  # noqa: SIM115
    "append": lambda folder: open(folder / "old", "a"),  # noqa: SIM115
    "truncate by reading": lambda folder: os.open(folder / "old", os.O_RDONLY | os.O_TRUNC),
    "truncate": lambda folder: os.truncate(folder / "old", 0),
    "nameless file": lambda folder: os.open(folder, os.O_RDWR | os.O_TMPFILE),
    "remove": lambda folder: os.unlink(folder / "old"),
    "rename": lambda folder: os.rename(folder / "old", folder / "new"),
    "link": lambda folder: os.link(folder / "old", folder / "new"),
    "folder": lambda folder: os.mkdir(folder / "new"),
    "mode": lambda folder: os.chmod(folder / "old", 0o777),
    "fifo": lambda folder: os.mkfifo(folder / "new"),
    "socket": lambda folder: socket.socket(),
    "unix socket": lambda folder: socket.socket(socket.AF_UNIX),
    "pair of sockets": lambda folder: socket.socketpair(),
    "process": lambda folder: os.fork(),
    "program": lambda folder: os.execv("/bin/true", ["true"]),
    "signal": lambda folder: os.kill(os.getppid(), signal.SIGCONT),
    "text": lambda folder: eval("1"),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_a_confined_process_cannot(deed, tmp_path):
    (tmp_path / "old").write_text("as it was")
    child = os.fork()
    if child == 0:
        try:
            sandbox.confine()
            assert (tmp_path / "old").read_bytes() == b"as it was"  # it still reads
            DEEDS[deed](tmp_path)
        except (PermissionError, SyntaxError):
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["old"] and (tmp_path / "old").read_text() == "as it was"
