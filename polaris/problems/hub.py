"""The Hugging Face hub, or its local cache: files of a repository at a pinned commit."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from polaris.problems.settings import UNPINNED
from polaris.stage.errors import UserError

Kind = Literal["model", "dataset"]
ACCEPT = "accept its terms on its page of the hub, log in with `hf auth login`, and run this again"


def cached(hub: str, revision: str | None, kind: Kind) -> Path | None:
    """The folder of a commit of `hub` in the local cache, None where it is not there; nothing is fetched.

    revision: None for the one that the cache has as the main branch
    """
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"{kind}s--{hub.replace('/', '--')}"
    main = folder / "refs" / "main"
    commit = revision or (main.read_text().strip() if main.is_file() else UNPINNED)
    return place if (place := folder / "snapshots" / commit).is_dir() else None


def snapshot(
    hub: str,
    revision: str,
    kind: Kind,
    patterns: Sequence[str],
    leave_out: Sequence[str] = (),
    into: Path | None = None,
) -> Path:
    """Folder with the files of `hub` at commit `revision` that match, from the cache or the network.

    into: copies there in place of the cache

    Raises UserError when the revision is not pinned, or the files are in neither.
    """
    if revision == UNPINNED:
        raise UserError(
            f"revision: {hub} is not pinned to a commit, and what it holds may change between two runs; "
            "where there is a network, run `polaris pin <config>` once"
        )
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import huggingface_hub
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        HTTPError,  # pyright: ignore[reportPrivateImportUsage] (of its HTTP library, which changes between versions)
        LocalEntryNotFoundError,
    )

    try:
        return Path(
            huggingface_hub.snapshot_download(
                hub,
                repo_type=kind,
                revision=revision,
                allow_patterns=list(patterns),
                ignore_patterns=list(leave_out),
                local_dir=into,
            )
        )
    except LocalEntryNotFoundError:
        raise UserError(
            f"{hub}: revision {revision} is not in the cache ({huggingface_hub.constants.HF_HUB_CACHE}), and the hub "
            "cannot be reached from here; fetch it where there is a network, with the same HF_HOME"
        ) from None
    except GatedRepoError:
        raise UserError(f"{hub}: this {kind} is gated: {ACCEPT}") from None
    except (HTTPError, HFValidationError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{hub}: revision {revision} was not fetched ({reason})") from None
