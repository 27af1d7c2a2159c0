"""What of this machine Snakemake shares among stages, beside its processors."""

import os
from pathlib import Path

CGROUP = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def memory_mb(limits: tuple[Path, ...] = CGROUP) -> int:
    """MiB of memory of this machine, or of the container that this process is in.

    limits: files with a number of bytes, or a word where there is no limit
    """
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    told = [file.read_text().strip() for file in limits if file.exists()]
    return min([machine, *(int(text) for text in told if text.isdigit())]) // 2**20
