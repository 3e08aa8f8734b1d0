"""Tests of check_licences.py: expressions, the list in deny.toml, and packages that must be reported."""

import unittest
from pathlib import Path

import check_licences

ALLOWED = {"MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"}


class Expressions(unittest.TestCase):
    """What an expression offers, against what is allowed."""

    def test_met(self):
        for expression in (
            "MIT",
            "MIT OR GPL-3.0-only",
            "GPL-3.0-only OR MIT",
            "MIT/Apache-2.0",
            "(MIT OR GPL-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        ):
            with self.subTest(expression):
                self.assertTrue(check_licences.is_met(expression, ALLOWED))

    def test_not_met(self):
        for expression in (
            "GPL-3.0-only",
            "MIT AND GPL-3.0-only",
            "GPL-2.0 OR AGPL-3.0",
            "MIT AND (GPL-2.0 OR AGPL-3.0)",
            "MIT WITH LLVM-exception",
        ):
            with self.subTest(expression):
                self.assertFalse(check_licences.is_met(expression, ALLOWED))

    def test_unreadable(self):
        for expression in ("MIT OR", "(MIT", "MIT Apache-2.0", "AND MIT", "MIT, Apache-2.0"):
            with self.subTest(expression), self.assertRaises(check_licences.LicenceError):
                check_licences.is_met(expression, ALLOWED)


class Packages(unittest.TestCase):
    """What is reported about a dependency tree."""

    def test_bad_packages_are_named(self):
        metadata = {"packages": [
            {"name": "good", "version": "1.0.0", "license": "MIT"},
            {"name": "bad", "version": "2.0.0", "license": "AGPL-3.0"},
            {"name": "silent", "version": "3.0.0", "license": None},
            {"name": "odd", "version": "4.0.0", "license": "MIT OR"},
        ]}
        found = check_licences.findings(metadata, ALLOWED)
        self.assertEqual([line.split()[0] for line in found], ["bad", "silent", "odd"])

    def test_the_list_of_this_repository_is_read(self):
        allowed = check_licences.read_allowed(Path(__file__).parent.parent / "deny.toml")
        self.assertLessEqual({"MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"}, allowed)
        self.assertNotIn("wildcards", allowed)


if __name__ == "__main__":
    unittest.main()
