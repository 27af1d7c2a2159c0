"""The child process of chat_template.py: renders a model's chat template within bounds that it puts on itself.

Lines of JSON, in and out: first {"template", "tokens"} -> {"text": ""}, then {"messages", "add_generation_prompt"}
-> {"text"}; {"error"} in words where the template fails. A template that computes too long ends this process by
SIGPROF. Compiling counts: jinja multiplies constants then.
"""

import functools
import importlib.metadata
import importlib.util
import json
import resource
import signal
import sys
import types
from collections.abc import Callable
from typing import Any

SECONDS = 5.0  # of CPU time for one conversation; those of published models take less than a millisecond
OVERTIME = signal.SIGPROF  # ends this process then
MEMORY = 1 << 30  # bytes beyond what the libraries take
CHARACTERS = 1 << 24  # of a rendered conversation; a context of a million tokens has about 4 million
WORDS = 300  # characters of a message from the template


def _compiler() -> Callable[[str], Any]:
    """transformers' own, from its module alone: the packages around it take five times as long to import."""
    found = importlib.util.find_spec("transformers")
    assert found and found.submodule_search_locations
    (folder,) = found.submodule_search_locations
    for name, path in (("transformers", folder), ("transformers.utils", f"{folder}/utils")):
        sys.modules[name] = package = types.ModuleType(name)
        package.__path__ = [path]
    importlib.metadata.packages_distributions = dict  # asked for versions of libraries, by reading all of them
    from transformers.utils.chat_template_utils import _compile_jinja_template

    return _compile_jinja_template


def main() -> None:
    from polaris.grading import sandbox

    compile_template = _compiler()
    start = json.loads(sys.stdin.readline())
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    template: Any = None

    def compiled() -> str:
        nonlocal template
        template = compile_template(start["template"])
        template.environment.handle_exception = _raise_again
        return ""

    def rendered(request: dict[str, Any]) -> str:
        return template.render(tools=None, documents=None, **start["tokens"], **request)

    _reply(compiled)
    sandbox.confine()
    for line in sys.stdin:
        _reply(functools.partial(rendered, json.loads(line)))


def _raise_again(source: str | None = None) -> None:
    """In the place of jinja's own, which compiles the template's lines into the traceback; nobody reads that here."""
    raise  # noqa: PLE0704 (jinja calls it where it handles an exception)


def _reply(work: Callable[[], str]) -> None:
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        text = work()
        if len(text) > CHARACTERS:
            raise ValueError(f"it writes {len(text)} characters, more than {CHARACTERS}")
        answer = {"text": text}
    except MemoryError:
        answer = {"error": f"it takes more than {MEMORY >> 30} GiB of memory"}
    except Exception as error:  # noqa: BLE001 (whatever a program that came with a model does)
        line = getattr(error, "lineno", None)
        answer = {"error": (f"line {line}: " if line else "") + (str(error).strip() or type(error).__name__)[:WORDS]}
    signal.setitimer(signal.ITIMER_PROF, 0)
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
