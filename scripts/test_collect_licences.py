"""Tests of collect_licences.py on small packages of its own."""

import tempfile
import unittest
from pathlib import Path

from collect_licences import collect


class Collecting(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.packages = []
        self.nodes = []

    def package(self, name, licence="MIT", files=None, deps=()):
        home = self.folder / name
        home.mkdir()
        for file, text in (files or {}).items():
            (home / file).write_text(text, encoding="utf-8")
        self.packages.append({"id": name, "name": name, "version": "1.0.0", "license": licence, "authors": ["Ada"], "manifest_path": str(home / "Cargo.toml")})
        self.nodes.append({"id": name, "deps": [{"pkg": pkg, "dep_kinds": [{"kind": kind}]} for pkg, kind in deps]})

    def collect(self):
        return collect({"packages": self.packages, "resolve": {"nodes": self.nodes}, "workspace_members": ["ours"]}, "ours")

    def test_what_is_compiled_in_and_nothing_else(self):
        self.package("ours", deps=[("used", None), ("tool", "build"), ("harness", "dev")])
        self.package("used", files={"LICENSE": "text of used"}, deps=[("deep", None)])
        self.package("deep", files={"COPYING": "text of deep"})
        self.package("tool", files={"LICENSE": "text of tool"})
        self.package("harness", files={"LICENSE": "text of harness"})
        told = self.collect()
        self.assertIn("used 1.0.0 (MIT)\n\ntext of used", told)
        self.assertIn("text of deep", told)
        for absent in ("text of tool", "text of harness", "ours"):
            self.assertNotIn(absent, told)

    def test_the_same_text_is_there_once_and_a_choice_is_made(self):
        both = {"LICENSE-MIT": "mit text", "LICENSE-APACHE": "apache text"}
        self.package("ours", deps=[("one", None), ("two", None), ("both", None)])
        self.package("one", "MIT OR Apache-2.0", both)
        self.package("two", "MIT/Apache-2.0", both)
        self.package("both", "MIT AND Apache-2.0", both)
        told = self.collect()
        self.assertEqual(told.count("mit text"), 1)
        self.assertIn("both 1.0.0 (MIT AND Apache-2.0)\none 1.0.0 (MIT OR Apache-2.0)\ntwo 1.0.0 (MIT/Apache-2.0)\n\nmit text", told)
        self.assertIn("both 1.0.0 (MIT AND Apache-2.0)\n\napache text", told)

    def test_a_package_without_a_file_is_named_all_the_same(self):
        self.package("ours", deps=[("bare", None)])
        self.package("bare", "Zlib")
        self.assertIn("bare 1.0.0 (Zlib)\n\nNo licence file is in the package; by Ada.", self.collect())


if __name__ == "__main__":
    unittest.main()
