"""Clang with libFuzzer and the sanitizers, for `make fuzz`."""

from __future__ import annotations

from debian import install as install_packages

TASK = "fuzzer"
PACKAGES = ("clang-19", "libclang-rt-19-dev")


def install() -> None:
    """Make sure that `clang-19 -fsanitize=fuzzer` works."""
    install_packages(
        TASK, PACKAGES, "install clang 19 with its sanitizers and put clang-19 on PATH"
    )
