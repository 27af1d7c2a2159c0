"""`python elsewhere.py FOLDER MODULE WORDS`: runs a module with our packages as they are in another folder.

For a process that is forked from one that has those of this clone.
"""

import runpy
import sys

from polaris.stage.code import PACKAGES


def main() -> None:
    folder, *words = sys.argv[1:]
    for name in list(sys.modules):
        if name.partition(".")[0] in PACKAGES:
            del sys.modules[name]
    sys.path.insert(0, folder)
    sys.argv = words
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
