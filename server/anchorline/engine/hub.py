"""Fetches a model from the Hugging Face hub: one commit, file by file, going on where an earlier pull stopped.

huggingface_hub downloads, with the user's own settings for it (HF_ENDPOINT, HF_TOKEN, proxies), but when it is ended
it throws away what it has of a file; here that is kept. Every file is checked against the hash that the hub states.
"""

import hashlib
from pathlib import Path

import httpx
import msgspec
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers, disable_progress_bars, filter_repo_objects

from anchorline.engine import installed
from anchorline.engine.errors import PullError, UnreachableError
from anchorline.engine.manifest import FILES, LocalModel

PARTS = ".parts"


def fetch(model: LocalModel, folder: Path) -> LocalModel:
    """Fetches the model's files, or the one that it names, into `folder`. Returns it with their commit.

    Raises PullError.
    """
    try:
        info = HfApi().model_info(model.location, revision=model.revision or None, files_metadata=True)
        stated = {file.rfilename: file for file in info.siblings or () if "/" not in file.rfilename}
        if model.file and model.file not in stated:
            raise PullError(f"{model.id}: {model.location} has no file {model.file}")
        wanted = [model.file] if model.file else filter_repo_objects(stated, allow_patterns=list(FILES))
        for name in wanted:
            file = stated[name]
            expected = file.lfs.sha256 if file.lfs is not None else file.blob_id
            if model.sha256 and expected != model.sha256:
                raise PullError(
                    f"{model.id}: {name} on the hub is another file than the one that is known (SHA-256 {expected} "
                    f"instead of {model.sha256}); it was not fetched"
                )
            _fetch(model, name, info.sha, file.size, expected, folder)
    except (OfflineModeIsEnabled, httpx.TransportError) as error:
        raise UnreachableError(
            f"{model.id}: the hub can't be reached ({type(error).__name__}). What has come is kept: pull again when "
            "you are online, or install a folder that you have with `anchorline model pull path:FOLDER`"
        ) from error
    except (HfHubHTTPError, HFValidationError) as error:
        raise PullError(
            f"{model.id}: the hub refuses {model.location}: {str(error).splitlines()[0]}"
        ) from error
    return msgspec.structs.replace(model, revision=info.sha)


def _fetch(model: LocalModel, name: str, commit: str, size: int, expected: str, folder: Path) -> None:
    disable_progress_bars()
    target = folder / name
    if target.exists() and _hash(target, expected) == expected:
        return
    part = folder / PARTS / f"{name}.{expected[:16]}"
    part.parent.mkdir(exist_ok=True)
    part.touch()
    with part.open("r+b") as stream:
        have = stream.seek(0, 2)
        url = hf_hub_url(model.location, name, revision=commit)
        http_get(url, stream, resume_size=have, headers=build_hf_headers(), expected_size=size)
    if _hash(part, expected) != expected:
        part.unlink()
        raise PullError(
            f"{model.id}: {name} is not what the hub says it is (wrong hash); it was not kept. Pull again"
        )
    part.replace(target)


def _hash(file: Path, expected: str) -> str:
    """Returns the hash by which the hub names a file: SHA-256 of a large one, of others git's name of the contents."""
    if len(expected) == len(hashlib.sha256().hexdigest()):
        return installed.sha256(file)
    data = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
