"""Which files of a folder are a model's, and that they are that folder's own.

Safetensors only: pickled weights execute code when they are loaded, and so does a model's own Python, which is left
out.
"""

import os
import shutil
import stat
from pathlib import Path

from polaris.stage.errors import UserError
from polaris.stage.json_files import BOM

FILES = ("*.safetensors", "*.json", "*.jinja", "merges.txt", "vocab.txt", "tokenizer.model", "*.tiktoken", "LICENSE*")
SUBFOLDERS = ("*/*",)  # other formats of the same weights


def model_files(folder: Path) -> dict[str, Path]:
    """Name -> where the file lies, of all files in `folder` that a model may consist of.

    A link is followed inside the folder, and from a snapshot of the Hugging Face cache inside its repository's folder
    (`models--org--name`, whose `blobs/` hold the bytes). Raises UserError for a link that leads elsewhere, since
    whatever it names would become a part of the run and of its releases, and for what is no regular file.
    """
    if not folder.is_dir():
        raise UserError(f"path: {folder}: there is no such model directory")
    own = _own_folder(folder)
    files = {}
    for path in sorted({path for pattern in FILES for path in folder.glob(pattern)}):
        try:
            file = Path(os.path.realpath(path, strict=True))
            mode = file.stat().st_mode
        except OSError as error:
            raise UserError(f"{path}: it cannot be read ({error.strerror}); fetch or copy the model again") from None
        if not file.is_relative_to(own):
            raise UserError(
                f"{path}: it is a link to {file}, outside of {own}; links out of a model's folder are not followed: "
                "put the file itself there"
            )
        if not stat.S_ISREG(mode):
            raise UserError(f"{path}: this is no regular file; a model consists of files: remove it, or put one there")
        files[path.name] = file
    return files


def _own_folder(folder: Path) -> Path:
    """The folder inside which links are followed."""
    folder = folder.resolve()
    repository = folder.parent.parent
    cached = folder.parent.name == "snapshots" and repository.name.startswith("models--")
    return repository if cached else folder


def take(source: Path, target: Path) -> None:
    """Put a file at `target` and leave `source` as it is: the same bytes, but for a JSON file's byte order mark.

    Hard-linked where that is possible, so that a model costs its space once; copied across file systems, where the
    file is somebody else's, and without the mark, which transformers does not read.
    """
    if source.suffix == ".json" or target.suffix == ".json":
        with source.open("rb") as file:
            if file.read(len(BOM)) == BOM:
                with target.open("wb") as copy:
                    shutil.copyfileobj(file, copy)
                return
    if source.stat().st_uid == os.geteuid():
        try:
            os.link(source, target)
            return
        except OSError:
            pass
    shutil.copyfile(source, target)
