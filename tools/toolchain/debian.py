"""Debian packages: installed on the host, or unpacked into a folder of our own.

apt does the work in both cases, so proxies, mirrors, signatures, checksums and half-finished
downloads are its business.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from task import CACHE, CommandFailed, Failure, answer, run, say

MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SETTINGS: dict[str, object] = {
    "APT::Status-Fd": 1,
    "APT::Update::Error-Mode": "any",
    "Acquire::Retries": 3,
    "DPkg::Lock::Timeout": 300,
}
ERRORS = ("e:", "w: failed")


def _apt(
    task: str, *arguments: str, settings: Mapping[str, object] = SETTINGS, cwd: Path = Path("/")
) -> str:
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    return run(
        task,
        ("apt-get", "-qq", *options, *arguments),
        cwd=cwd,
        environment={"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        describe=_progress,
    )


def _progress(line: str) -> str | None:
    """What a line of apt's status protocol says: kind:package:percent:text."""
    kind, _, rest = line.partition(":")
    if kind not in ("dlstatus", "pmstatus"):
        return None
    _, percent, text = rest.split(":", 2)
    return f"{float(percent):3.0f} % {text}"


def _need_apt(task: str, otherwise: str) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise Failure(f"{task} needs Debian's packages and this system has no apt; {otherwise}.")


def install(task: str, packages: Sequence[str], otherwise: str) -> None:
    """Install packages on the host with apt, if any is missing.

    Parameters
    ----------
    task
        What they are for.
    packages
        Names in the host's own Debian release.
    otherwise
        What a user without apt can do.
    """
    _need_apt(task, otherwise)
    missing = [package for package in packages if not _installed(package)]
    if not missing:
        return
    names = " ".join(missing)
    if os.geteuid() != 0:
        raise Failure(f"{task} needs more packages; run `sudo apt-get install {names}` first.")
    say(task, f"installing {names} (apt)")
    try:
        # An outdated list, or one without security updates, would give old versions.
        _apt(task, "update")
        _apt(task, "install", "-y", "--no-install-recommends", *missing)
    except CommandFailed as failure:
        raise Failure(
            f"{task}: apt could not install {names}: {failure.reason(*ERRORS)}; "
            "check the network and the mirrors in /etc/apt, then run the command again."
        ) from None


def _installed(package: str) -> bool:
    return answer("dpkg-query", "-W", "-f", "${db:Status-Status}", package) == "installed"


def unpack(
    task: str, packages: Sequence[str], release: str, architecture: str, folder: Path
) -> None:
    """Fetch packages of any Debian release and architecture and unpack them, installing nothing.

    apt works on a state of its own under the cache. What is fetched is kept until all is unpacked.

    Parameters
    ----------
    task
        What they are for.
    packages
        Names, without their dependencies; the newest version of each is taken.
    release, architecture
        Debian's names, such as ``trixie`` and ``amd64``.
    folder
        Replaced by the packages' files.
    """
    _need_apt(task, "use Debian or Ubuntu, or a container of it")
    state = CACHE / "apt" / f"{release}-{architecture}"
    downloads = state / "downloads"
    for path in (state / "lists" / "partial", state / "cache" / "archives" / "partial", downloads):
        path.mkdir(parents=True, exist_ok=True)
    mirror = _mirror()
    sources, status = state / "sources.list", state / "status"
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror} {release} main\n")
    status.touch()
    settings = {
        **SETTINGS,
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": state / "lists",
        "Dir::State::status": status,
        "Dir::Cache": state / "cache",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
    }
    what = f"{' '.join(packages)} of Debian {release} ({architecture}) from {mirror}"
    say(task, f"fetching {what}")
    try:
        _apt(task, "update", settings=settings)
        listing = _apt(task, "--print-uris", "download", *packages, settings=settings)
        # One line a package: 'address' file-name size checksum
        files = [line.split() for line in listing.splitlines()]
        say(task, f"{sum(int(size) for _, _, size, _ in files) / 1e6:.0f} MB to fetch")
        _apt(task, "download", *packages, settings=settings, cwd=downloads)
    except CommandFailed as failure:
        raise Failure(
            f"{task}: apt could not fetch {what}: {failure.reason(*ERRORS)}; "
            "check the network, then run the command again: it goes on where it stopped."
        ) from None

    say(task, f"unpacking into {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for _, name, *_ in files:
        try:
            run(task, ("dpkg", "-x", downloads / name, folder))
        except CommandFailed as failure:
            reason = failure.reason("dpkg")
            raise Failure(f"{task}: dpkg could not unpack {name}: {reason}.") from None
    shutil.rmtree(state)


def _mirror() -> str:
    """The mirror that this system uses if it is Debian, so that local copies count."""
    system = Path("/etc/os-release").read_text().splitlines()
    columns = "$(RELEASE) $(COMPONENT) $(REPO_URI)"
    targets = answer("apt-get", "indextargets", "--format", columns, "Identifier: Packages")
    for line in targets.splitlines():
        release, component, uri = line.split(" ", 2)
        debian = "ID=debian" in system and f"VERSION_CODENAME={release}" in system
        if debian and component == "main" and uri.rstrip("/").endswith("/debian"):
            return uri.rstrip("/")
    return MIRROR
