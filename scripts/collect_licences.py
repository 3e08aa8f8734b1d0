"""Prints the licence texts of all crates that are compiled into one of ours, each text once with the crates that it is of.

    cargo metadata --format-version 1 --filter-platform TARGET | python3 scripts/collect_licences.py CRATE

Whoever distributes the compiled crate owes these notices. Standard library only.
"""

import json
import re
import sys
from pathlib import Path

NAMES = re.compile(r"(?i)^(licen[cs]e|copying|copyright|notice|unlicense)")


def compiled_into(metadata, crate):
    """The packages of others that the crate depends on, build scripts and tests left out."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    members = set(metadata["workspace_members"])
    (first,) = [identity for identity in members if packages[identity]["name"] == crate]
    found, waiting = set(), [first]
    while waiting:
        identity = waiting.pop()
        if identity in found:
            continue
        found.add(identity)
        for dependency in nodes[identity]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    return sorted((packages[identity] for identity in found - members), key=lambda package: (package["name"], package["version"]))


def texts_of(package):
    """Its licence files; of several licences to choose from the shortest, which are those that name their authors."""
    folder = Path(package["manifest_path"]).parent
    files = sorted(path for path in folder.iterdir() if path.is_file() and NAMES.match(path.name))
    texts = {path.name: path.read_text(encoding="utf-8", errors="replace").strip() for path in files}
    chosen = [text for name, text in texts.items() if "MIT" in name.upper()]
    if chosen and " OR " in (package["license"] or "").replace("/", " OR "):
        return chosen
    return list(texts.values())


def collect(metadata, crate):
    """The whole notice; crates without a file of their own are listed with what their manifest says."""
    by_text = {}
    for package in compiled_into(metadata, crate):
        told = f"{package['name']} {package['version']} ({package['license'] or 'see its file'})"
        texts = texts_of(package) or [f"No licence file is in the package; by {', '.join(package['authors']) or 'unnamed authors'}."]
        for text in texts:
            by_text.setdefault(text, []).append(told)
    return "\n\n".join("\n".join(names) + "\n\n" + text for text, names in sorted(by_text.items(), key=lambda item: item[1]))


if __name__ == "__main__":
    print(collect(json.load(sys.stdin), sys.argv[1]))
