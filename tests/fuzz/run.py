"""Coverage-guided fuzzing, one process per target: `make fuzz`, or

    python -m tests.fuzz.run --seconds 3600 [--targets reader equality] [--corpus .fuzz]

A target is a file fuzz_<name>.py beside this one: `one(data: bytes)` raises on a fault, WORDS is what the fuzzer puts
together, SEEDS are first inputs. All run at once for the same time. What they find is kept in <corpus>/<name>, merged
after the run to the fewest inputs that reach the same code; an input that fails is <corpus>/<name>.crash-*.
"""

import argparse
import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

FOLDER = Path(__file__).parent
LONGEST = 400  # bytes of an input
SLOW = 5  # seconds after which one input is a fault


class Target(Protocol):
    one: Callable[[bytes], None]
    WORDS: tuple[str, ...]
    SEEDS: tuple[str, ...]


def names() -> list[str]:
    return sorted(path.stem.removeprefix("fuzz_") for path in FOLDER.glob("fuzz_*.py"))


def fuzz(name: str, arguments: list[str]) -> None:
    """Run one target in this process; libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["polaris"]):  # pyright: ignore[reportAttributeAccessIssue]  it is exported
        target = cast(Target, importlib.import_module(f"tests.fuzz.fuzz_{name}"))
    atheris.Setup([f"fuzz_{name}", *arguments], target.one)
    atheris.Fuzz()


def command(name: str, corpus: Path, *arguments: str) -> list[str]:
    prefix = f"-artifact_prefix={corpus / name}."
    return [sys.executable, "-m", "tests.fuzz.run", "--one", name, prefix, f"-max_len={LONGEST}", *arguments]


def prepare(name: str, corpus: Path) -> None:
    """The target's folder with its seeds, and its dictionary."""
    target = cast(Target, importlib.import_module(f"tests.fuzz.fuzz_{name}"))
    (corpus / name).mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.SEEDS):
        (corpus / name / f"seed-{number}").write_bytes(seed.encode())
    quoted = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in target.WORDS)
    (corpus / f"{name}.dict").write_text("".join(f'"{word}"\n' for word in quoted))


def shrink(name: str, corpus: Path) -> None:
    """Keep the fewest inputs that reach the same code."""
    small = corpus / f"{name}.small"
    small.mkdir(exist_ok=True)
    merge = command(name, corpus, "-merge=1", str(small), str(corpus / name))
    done = subprocess.run(merge, check=False, capture_output=True)
    if done.returncode == 0:
        shutil.rmtree(corpus / name)
        small.rename(corpus / name)
    else:
        shutil.rmtree(small)


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        fuzz(sys.argv[2], sys.argv[3:])
        return
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description="Fuzz every target at once.")
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--targets", nargs="+", choices=names(), default=names())
    parser.add_argument("--corpus", type=Path, default=Path(".fuzz"))
    args = parser.parse_args()
    runs = {}
    for name in args.targets:
        prepare(name, args.corpus)
        limits = (f"-max_total_time={args.seconds}", f"-timeout={SLOW}", f"-dict={args.corpus / name}.dict")
        with (args.corpus / f"{name}.log").open("w") as log:
            runs[name] = subprocess.Popen(
                command(name, args.corpus, *limits, str(args.corpus / name)), stdout=log, stderr=log
            )
    failed = [name for name, run in runs.items() if run.wait() != 0]
    for name in args.targets:
        shrink(name, args.corpus)
        log = (args.corpus / f"{name}.log").read_text(errors="replace").splitlines()
        last = next((line for line in reversed(log) if line.startswith(("#", "Done"))), "no line")
        print(f"{name}: {'FAILED, see ' + str(args.corpus / name) + '.log' if name in failed else 'no fault'}; {last}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
