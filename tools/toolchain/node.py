"""Node packages for the tests: Pyodide itself."""

from __future__ import annotations

from task import ROOT, CommandFailed, Failure, Stamp, answer, require, run, say

TASK = "node"
FOLDER = ROOT / "tests" / "pyodide"


def install() -> None:
    """Install what ``package-lock.json`` names into ``node_modules``."""
    require(TASK, "node", "npm")
    modules = FOLDER / "node_modules"
    stamp = Stamp(modules, FOLDER / "package.json", FOLDER / "package-lock.json")
    if stamp.fresh():
        return
    say(TASK, "installing Pyodide for the tests (npm)")
    try:
        run(TASK, ("npm", "ci", "--no-audit", "--no-fund"), cwd=FOLDER)
    except CommandFailed as failure:
        reason = failure.reason("npm error", "npm err!")
        registry = answer("npm", "config", "get", "registry").strip()
        raise Failure(
            f"node: npm could not install what tests/pyodide/package.json names from {registry}: "
            f"{reason}; check the network and npm's settings, then run the command again."
        ) from None
    stamp.write()
