"""Tests of fetch.py against a real local HTTP server, real wheels and really full disks."""

import contextlib
import hashlib
import http.server
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zipfile
from pathlib import Path
from unittest import mock

import fetch
import sources

BODY = bytes(range(256)) * 4096  # 1 MiB
BODY_SHA256 = hashlib.sha256(BODY).hexdigest()
FETCH = str(Path(__file__).with_name("fetch.py"))


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves BODY in good and bad ways; the path says which."""

    def do_GET(self):
        self.server.requests.append(self.path)
        name = self.path.strip("/")
        if name in self.server.bodies:
            self.send(self.server.bodies[name])
        else:
            getattr(self, "serve_" + name)()

    def send(self, body, length=None):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def serve_good(self):
        self.send(BODY)

    def serve_wrong(self):
        self.send(b"x" + BODY[1:])

    def serve_short(self):
        self.send(BODY[:-1])

    def serve_long(self):
        self.send(BODY + b"x")

    def serve_cut(self):
        self.send(BODY[: len(BODY) // 2], length=len(BODY))

    def serve_missing(self):
        self.send_error(404)

    def serve_nonsense(self):
        self.wfile.write(b"this is no HTTP\r\n\r\n")

    def serve_stalls(self):
        self.send(BODY[: len(BODY) // 2], length=len(BODY))
        self.server.released.wait(20)

    def serve_fills_disk(self):
        filler = self.server.disk / "filler"
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
        self.send(BODY)

    def log_message(self, *_arguments):
        pass


class FetchCase(unittest.TestCase):
    """A server, an empty folder and a manifest that names what a test asks for."""

    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.requests = []
        self.server.bodies = {}
        self.server.released = threading.Event()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.stop_server)
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.base = Path(temporary.name)
        self.folder = self.base / "models"
        self.target = self.folder / "tiny.gguf"

    def stop_server(self):
        self.server.released.set()
        self.server.shutdown()
        self.server.server_close()

    def url(self, path):
        return {"kind": "url", "url": f"http://127.0.0.1:{self.server.server_port}/{path}"}

    def options(self, sources, **changes):
        model = {
            "id": "tiny", "architecture": "llama", "quantisation": "F32", "licence": "MIT",
            "bytes": len(BODY), "sha256": BODY_SHA256, "file": "tiny.gguf", "use": "default",
            "sources": sources, **changes,
        }
        manifest = self.base / "manifest.json"
        manifest.write_text(json.dumps({"models": [model]}), encoding="utf-8")
        return ["--manifest", str(manifest), "--dir", str(self.folder), "tiny"]

    def fetch(self, sources, *more, **changes):
        """Runs the program in this process; gives its exit status and what it printed."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            status = fetch.main([*more, *self.options(sources, **changes)])
        return status, said.getvalue()

    def assert_nothing_left(self):
        left = [path.name for path in self.folder.iterdir() if path.name != ".lock"]
        self.assertEqual(left, [])

    def assert_fails(self, sources, reason, **changes):
        status, said = self.fetch(sources, **changes)
        self.assertEqual(status, 1)
        self.assertIn(reason, said)
        self.assert_nothing_left()


class UrlSources(FetchCase):
    """What a web server can do to a download."""

    def test_a_good_file_gets_its_name_and_progress_is_in_bytes(self):
        status, said = self.fetch([self.url("good")])
        self.assertEqual(status, 0)
        self.assertEqual(self.target.read_bytes(), BODY)
        self.assertIn("1,048,576 of 1,048,576 bytes (100%)", said)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()),
                         [".lock", "tiny.gguf", "tiny.gguf.checked"])

    def test_each_bad_answer_names_its_reason_and_leaves_nothing(self):
        for path, reason in [
            ("wrong", "its SHA-256 is"),
            ("short", "it ended after 1,048,575 of 1,048,576 bytes"),
            ("long", "it is longer than the 1,048,576 bytes"),
            ("cut", "it ended after 524,288 of 1,048,576 bytes"),
            ("missing", "it answered 404"),
            ("nonsense", "its answer is broken"),
        ]:
            with self.subTest(path):
                self.assert_fails([self.url(path)], reason)

    def test_after_a_bad_source_comes_the_next(self):
        for path in ("wrong", "short", "cut", "missing"):
            with self.subTest(path):
                self.server.requests.clear()
                status, _said = self.fetch([self.url(path), self.url("good")], "--verify")
                self.assertEqual(status, 0)
                self.assertEqual(self.server.requests, [f"/{path}", "/good"])
                self.assertEqual(self.target.read_bytes(), BODY)
                self.target.unlink()

    def test_when_all_sources_fail_every_reason_is_named(self):
        status, said = self.fetch([self.url("missing"), self.url("wrong")])
        last = said.strip().splitlines()[-1]
        self.assertEqual(status, 1)
        self.assertIn("it answered 404", last)
        self.assertIn("its SHA-256 is", last)
        self.assert_nothing_left()

    def test_a_dead_host_is_an_error_of_that_source(self):
        dead = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        dead.server_close()
        address = {"kind": "url", "url": f"http://127.0.0.1:{dead.server_port}/good"}
        self.assert_fails([address], "it cannot be reached")

    def test_a_server_that_stalls_is_given_up(self):
        with mock.patch.object(sources, "STALL_SECONDS", 0.3):
            started = time.monotonic()
            self.assert_fails([self.url("stalls")], "nothing came for 0.3 s")
        self.assertLess(time.monotonic() - started, 5)


class ExistingFiles(FetchCase):
    """What is there already is checked, not trusted."""

    def test_a_good_file_is_not_fetched_again(self):
        self.fetch([self.url("good")])
        self.server.requests.clear()
        self.assertEqual(self.fetch([self.url("good")])[0], 0)
        self.assertEqual(self.server.requests, [])

    def test_a_file_of_another_length_or_content_is_replaced(self):
        self.folder.mkdir()
        for content in (BODY[:-1], b"x" + BODY[1:], b""):
            with self.subTest(content[:4]):
                self.target.write_bytes(content)
                self.assertEqual(self.fetch([self.url("good")])[0], 0)
                self.assertEqual(self.target.read_bytes(), BODY)

    def test_a_bad_file_does_not_stay_when_it_cannot_be_replaced(self):
        self.folder.mkdir()
        self.target.write_bytes(BODY[:-1])
        self.assert_fails([self.url("missing")], "it answered 404")

    def test_verify_finds_what_the_stamp_hides(self):
        self.fetch([self.url("good")])
        times = self.target.stat()
        self.target.write_bytes(b"x" + BODY[1:])
        os.utime(self.target, ns=(times.st_atime_ns, times.st_mtime_ns))
        self.server.requests.clear()
        self.fetch([self.url("good")])
        self.assertEqual(self.server.requests, [])
        self.fetch([self.url("good")], "--verify")
        self.assertEqual(self.server.requests, ["/good"])
        self.assertEqual(self.target.read_bytes(), BODY)

    def test_what_a_killed_run_left_is_cleared(self):
        stale = self.folder / ".tiny.gguf.partial"
        stale.mkdir(parents=True)
        (stale / "tiny.gguf").write_bytes(BODY[:100])
        self.assertEqual(self.fetch([self.url("good")])[0], 0)
        self.assertFalse(stale.exists())


class FullDisks(FetchCase):
    """No room: said beforehand where it can be known, and survived where it cannot."""

    def test_missing_room_is_said_before_anything_is_fetched(self):
        self.assert_fails([self.url("good")], "bytes are missing", bytes=1 << 60)
        self.assertEqual(self.server.requests, [])

    def test_a_write_that_fails_for_want_of_room(self):
        limit = len(BODY) // 2

        def limit_file_size():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        done = subprocess.run([sys.executable, FETCH, *self.options([self.url("good")])],
                              preexec_fn=limit_file_size, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no room left in", done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assert_nothing_left()

    def test_a_disk_that_fills_up_meanwhile(self):
        self.folder.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(self.folder)],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest("a small file system cannot be mounted here")
        try:
            self.server.disk = self.folder
            status, said = self.fetch([self.url("fills_disk")])
            (self.folder / "filler").unlink()
            self.assertEqual(status, 1)
            self.assertIn("there is no room left in", said)
            self.assert_nothing_left()
        finally:
            subprocess.run(["umount", str(self.folder)], check=True)


class Interruption(FetchCase):
    """Ctrl-C and a polite kill end the program at once and leave nothing."""

    def test_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                child = subprocess.Popen([sys.executable, FETCH, *self.options([self.url("stalls")])],
                                         stderr=subprocess.PIPE, text=True,
                                         # A shell's background jobs ignore Ctrl-C.
                                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
                partial = self.folder / ".tiny.gguf.partial" / "tiny.gguf"
                deadline = time.monotonic() + 10
                while not partial.exists() and time.monotonic() < deadline:
                    time.sleep(0.02)
                self.assertTrue(partial.exists())
                child.send_signal(number)
                said = child.communicate(timeout=10)[1]
                self.assertEqual(child.returncode, 1)
                self.assertIn("interrupted; nothing was left behind", said)
                self.assertNotIn("Traceback", said)
                self.assert_nothing_left()


class WheelSources(FetchCase):
    """Members of wheels, taken from a local folder of wheels by the real pip."""

    def setUp(self):
        super().setUp()
        self.wheels = self.base / "wheels"
        self.wheels.mkdir()
        settings = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        patch = mock.patch.dict(os.environ, settings)
        patch.start()
        self.addCleanup(patch.stop)

    def wheel(self, name, content):
        """Makes the smallest wheel that pip accepts; it holds one data file."""
        info = f"{name}-1.0.0.dist-info"
        with zipfile.ZipFile(self.wheels / f"{name}-1.0.0-py3-none-any.whl", "w") as archive:
            archive.writestr(f"{name}/data", content)
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        return {"package": name, "version": "1.0.0", "member": f"{name}/data"}

    def test_parts_are_joined_in_order_after_a_url_failed(self):
        parts = [self.wheel("part_a", BODY[:1000]), self.wheel("part_b", BODY[1000:])]
        status, _said = self.fetch([self.url("missing"), {"kind": "wheel", "parts": parts}])
        self.assertEqual(status, 0)
        self.assertEqual(self.target.read_bytes(), BODY)

    def test_parts_in_the_wrong_order_are_refused(self):
        parts = [self.wheel("part_b", BODY[1000:]), self.wheel("part_a", BODY[:1000])]
        self.assert_fails([{"kind": "wheel", "parts": parts}], "its SHA-256 is")

    def test_a_missing_member_and_a_missing_package_are_named(self):
        part = {**self.wheel("part_a", BODY), "member": "elsewhere"}
        self.assert_fails([{"kind": "wheel", "parts": [part]}], "has no elsewhere")
        gone = {"package": "not-there", "version": "1.0.0", "member": "x"}
        self.assert_fails([{"kind": "wheel", "parts": [gone]}], "pip could not download not-there")


# Joins the files of a folder in the order of their names, as the native program would convert them.
CONVERTER = """
import pathlib, sys
verb, _, source, _, made, _, kind = sys.argv[1:]
assert (verb, kind) == ("convert", "f32"), sys.argv
files = sorted(pathlib.Path(source).iterdir())
if any(file.name == "bad" for file in files):
    sys.exit("this cannot be converted")
pathlib.Path(made).write_bytes(b"".join(file.read_bytes() for file in files))
"""


class ConvertedModels(FetchCase):
    """Models that are made here of published files by a program of ours."""

    def setUp(self):
        super().setUp()
        program = self.base / "converter.py"
        program.write_text(CONVERTER, encoding="utf-8")
        self.converter = ("--converter", f"{sys.executable} {program}")

    def source(self, *names):
        half = len(BODY) // 2
        contents = {name: BODY[i * half:(i + 1) * half] for i, name in enumerate(names)}
        self.server.bodies.update(contents)
        parts = [{"file": name, "bytes": half, "sha256": hashlib.sha256(content).hexdigest(),
                  "sources": [self.url("missing"), self.url(name)]}
                 for name, content in contents.items()]
        return {"kind": "convert", "type": "f32", "parts": parts}

    def test_parts_are_fetched_once_converted_and_kept(self):
        source = self.source("a", "b")
        status, said = self.fetch([source], *self.converter)
        self.assertEqual(status, 0, said)
        self.assertEqual(self.target.read_bytes(), BODY)
        self.assertEqual(sorted(path.name for path in (self.folder / "tiny").iterdir()), ["a", "b"])
        self.target.unlink()
        self.server.requests.clear()
        self.assertEqual(self.fetch([source], *self.converter)[0], 0)
        self.assertEqual(self.server.requests, [])
        self.assertEqual(self.target.read_bytes(), BODY)

    def test_a_damaged_part_is_fetched_again(self):
        source = self.source("a", "b")
        self.fetch([source], *self.converter)
        self.target.unlink()
        (self.folder / "tiny" / "b").write_bytes(b"x")
        self.assertEqual(self.fetch([source], *self.converter)[0], 0)
        self.assertEqual(self.target.read_bytes(), BODY)

    def test_each_failure_names_its_reason_and_leaves_no_model(self):
        for source, options, reason, changes in [
            (self.source("a", "b"), (), "wants the native frontdesk program", {}),
            (self.source("a", "b"), ("--converter", "/not/there"), "cannot be started", {}),
            (self.source("a", "bad"), self.converter, "the converter failed: this cannot be converted", {}),
            (self.source("a", "b"), self.converter, "its SHA-256 is", {"sha256": "0" * 64}),
        ]:
            with self.subTest(reason):
                status, said = self.fetch([source], *options, **changes)
                self.assertEqual(status, 1)
                self.assertIn(reason, said)
                self.assertFalse(self.target.exists())
                shutil.rmtree(self.folder / "tiny", ignore_errors=True)

    def test_a_part_that_no_source_has_right_is_named(self):
        source = self.source("a", "b")
        source["parts"][1]["sha256"] = "0" * 64
        status, said = self.fetch([source], *self.converter)
        self.assertEqual(status, 1)
        self.assertIn("no source gave b", said)
        self.assertFalse((self.folder / "tiny" / "b").exists())


class Manifests(FetchCase):
    """A manifest that lies is refused before anything is fetched, and ours is sound."""

    def test_bad_entries(self):
        for change, reason in [
            ({"sha256": "abc"}, "is not 64 hex digits"),
            ({"file": "../tiny.gguf"}, "needs a plain file name"),
            ({"bytes": 0}, "needs a plain file name and a length"),
        ]:
            with self.subTest(change):
                status, said = self.fetch([self.url("good")], **change)
                self.assertEqual(status, 1)
                self.assertIn(reason, said)
                self.assertEqual(self.server.requests, [])

    def test_a_source_of_unknown_kind(self):
        status, said = self.fetch([{"kind": "ftp"}])
        self.assertEqual(status, 1)
        self.assertIn("has a source of unknown kind ftp", said)

    def test_an_unknown_id_names_the_known_ones(self):
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            status = fetch.main([*self.options([self.url("good")])[:-1], "other"])
        self.assertEqual(status, 1)
        self.assertIn("there is no model other; the manifest has tiny", said.getvalue())

    def test_the_real_manifest_has_one_default_and_complete_entries(self):
        models = fetch.read_manifest(Path(FETCH).with_name("manifest.json"))
        self.assertEqual([name for name, model in models.items() if model["use"] == "default"],
                         ["smollm2-135m-instruct"])
        for model in models.values():
            self.assertLessEqual({"architecture", "quantisation", "licence", "sources"}, set(model))


if __name__ == "__main__":
    unittest.main()
