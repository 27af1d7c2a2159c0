"""Opening files with or without O_DIRECT."""

import errno
import os
from pathlib import Path

from polaris.stage.errors import UserError


def open_file(path: Path, flags: int, direct: bool) -> int:
    """A file descriptor; direct: with O_DIRECT. Raises UserError when the file system does not support it."""
    try:
        return os.open(path, flags | (os.O_DIRECT if direct else 0), 0o644)
    except OSError as error:
        if not direct or error.errno != errno.EINVAL:
            raise
        raise UserError(
            f"{path.parent}: this file system does not support O_DIRECT; set merge.o_direct: false"
        ) from None
