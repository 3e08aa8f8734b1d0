"""Models that are converted here: fetches the published files, runs the native converter, streams its file."""

import hashlib
import os
import shlex
import subprocess
import sys
from pathlib import Path

from sources import CHUNK_BYTES, READERS, Progress, Sink, SourceError, copy_stream, last_line, source_name


def read_converted(source, sink, scratch):
    """Streams the converted model into the sink; the published files stay in the source's folder."""
    if not source.get("converter"):
        raise SourceError("it wants the native frontdesk program as --converter")
    folder = Path(source["folder"])
    folder.mkdir(exist_ok=True)
    for part in source["parts"]:
        if not is_right(part, folder / part["file"]):
            fetch_part(part, folder / part["file"], scratch)
    made = scratch / "converted.gguf"
    command = [*shlex.split(source["converter"]), "convert",
               "--from", str(folder), "--to", str(made), "--type", source["type"]]
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    except OSError as error:
        raise SourceError(f"the converter cannot be started: {error}") from error
    if done.returncode != 0:
        raise SourceError(f"the converter failed: {last_line(done.stderr)}")
    with open(made, "rb") as file:
        copy_stream(file, sink)


def is_right(part, path):
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    except FileNotFoundError:
        return False
    return digest.hexdigest() == part["sha256"]


def fetch_part(part, target, scratch):
    """Fetches one published file from the first source that has it right."""
    reasons = []
    for source in part["sources"]:
        partial = scratch / "part"
        progress = Progress(part["file"], part["bytes"])
        try:
            with open(partial, "wb") as file:
                sink = Sink(file, part, progress)
                try:
                    READERS[source["kind"]]({**source, "keep": True}, sink, scratch)
                finally:
                    progress.end()
            if sink.digest.hexdigest() != part["sha256"]:
                raise SourceError(f"its SHA-256 is {sink.digest.hexdigest()} and should be {part['sha256']}")
            os.replace(partial, target)
            return
        except SourceError as error:
            reasons.append(f"{source_name(source)}: {error}")
            print(f"{part['file']}: {error}", file=sys.stderr)
    raise SourceError(f"no source gave {part['file']} ({'; '.join(reasons)})")
