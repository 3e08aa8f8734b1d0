"""Checks that the licence of every dependency can be met by the licences that deny.toml allows.

    cargo metadata --format-version 1 | python3 scripts/check_licences.py deny.toml

cargo-deny does this and more, but takes long to build; this reads the same list. Standard library only.
"""

import json
import re
import sys

TOKEN = re.compile(r"\s*(\(|\)|[A-Za-z0-9.+:-]+)")


class LicenceError(Exception):
    """A licence expression that cannot be read."""


def tokens_of(expression):
    """Splits an SPDX expression; the slash of old manifests means OR."""
    text = expression.replace("/", " OR ").strip()
    tokens = []
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise LicenceError(f"cannot read {expression!r}")
        tokens.append(match.group(1))
        position = match.end()
    return tokens


def is_met(expression, allowed):
    """Whether some choice that the expression offers consists of allowed licences only."""
    tokens = tokens_of(expression)

    def take():
        if not tokens:
            raise LicenceError(f"{expression!r} ends too early")
        return tokens.pop(0)

    def read_or():
        met = read_and()
        while tokens and tokens[0] == "OR":
            take()
            met = read_and() or met
        return met

    def read_and():
        met = read_one()
        while tokens and tokens[0] == "AND":
            take()
            met = read_one() and met
        return met

    def read_one():
        token = take()
        if token == "(":
            met = read_or()
            if take() != ")":
                raise LicenceError(f"{expression!r} has an open bracket")
            return met
        if token in ("OR", "AND", "WITH", ")"):
            raise LicenceError(f"{expression!r} has {token} in the wrong place")
        if tokens and tokens[0] == "WITH":
            take()
            token = f"{token} WITH {take()}"
        return token in allowed

    met = read_or()
    if tokens:
        raise LicenceError(f"{expression!r} goes on after its end")
    return met


def read_allowed(path):
    """Reads the allow list; Python 3.9 has no TOML reader, and the list is plain strings."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    block = re.search(r"^\[licenses\].*?^allow = \[(.*?)\]", text, re.DOTALL | re.MULTILINE)
    if block is None:
        raise LicenceError(f"{path} has no list [licenses] allow")
    return set(re.findall(r'"([^"]+)"', block.group(1)))


def findings(metadata, allowed):
    """One sentence for each package whose licence is missing or not allowed."""
    found = []
    for package in metadata["packages"]:
        name = f"{package['name']} {package['version']}"
        licence = package.get("license")
        try:
            if not licence:
                found.append(f"{name} names no licence")
            elif not is_met(licence, allowed):
                found.append(f"{name} is under {licence}, which deny.toml does not allow")
        except LicenceError as error:
            found.append(f"{name}: {error}")
    return found


def main():
    allowed = read_allowed(sys.argv[1])
    metadata = json.load(sys.stdin)
    found = findings(metadata, allowed)
    for line in found:
        print(f"check_licences: {line}", file=sys.stderr)
    if not found:
        print(f"{len(metadata['packages'])} packages have licences that deny.toml allows", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
