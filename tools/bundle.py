"""Join a JavaScript module and all that it imports into one file.

Knows what this repository's modules use and refuses the rest: ``import { a, b } from "./x.mjs"``,
``export`` in front of a declaration, and names that are unique over all modules. The file exports
what the module to begin with passes on by ``export { a, b } from "./x.mjs"``. Comments stay behind.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

IMPORT = re.compile(r'^(?:import|export) \{ [\w, ]+ \} from "(\./[^"]+)";[^\n]*\n', re.MULTILINE)
PASSED_ON = re.compile(r'^export \{ ([\w, ]+) \} from "', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:class|const|function) )", re.MULTILINE)
DECLARATION = re.compile(r"^(?:async )?(?:class|const|function|let) (\w+)", re.MULTILINE)
COMMENT = re.compile(r"^ *(?:/\*\*.*?\*/|//[^\n]*)\n", re.MULTILINE | re.DOTALL)
UNKNOWN = re.compile(r"^(?:import|export)\b[^\n]*", re.MULTILINE)


def bundle(entry: Path) -> str:
    """Return the text of one module that does what `entry` does.

    Raises
    ------
    ValueError
        A module uses what this cannot join; the message names it.
    """
    texts: dict[Path, str] = {}
    _collect(entry.resolve(), texts)
    owners: dict[str, Path] = {}
    for path, text in texts.items():
        for name in DECLARATION.findall(text):
            if name in owners:
                raise ValueError(f"{path}: {name} is declared in {owners[name].name}, too")
            owners[name] = path
    made = f"// Made of {entry.parent.name}/{entry.name} by tools/{Path(__file__).name}.\n"
    passed_on = ", ".join(PASSED_ON.findall(entry.read_text()))
    if passed_on:
        texts[entry.resolve()] += f"export {{ {passed_on} }};\n"
    return made + "\n".join(texts.values())


def _collect(path: Path, texts: dict[Path, str]) -> None:
    """Add a module behind those that it imports."""
    text = path.read_text()
    for address in IMPORT.findall(text):
        imported = (path.parent / address).resolve()
        if imported not in texts:
            _collect(imported, texts)
    text = EXPORT.sub("", COMMENT.sub("", IMPORT.sub("", text)))
    if unknown := UNKNOWN.search(text):
        raise ValueError(f"{path}: cannot join {unknown[0]!r}")
    texts[path] = text.strip("\n") + "\n"


def main() -> None:
    """Run the command line: the module to begin with, the file to write."""
    entry, target = map(Path, sys.argv[1:])
    text = bundle(entry)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


if __name__ == "__main__":
    main()
