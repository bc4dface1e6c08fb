"""Several threads in Chromium: same results, stated reductions, and workers that end."""

from __future__ import annotations

import base64
import shutil
import time
from pathlib import Path

import pytest

from gossamer import zoo
from gossamer.serve import Server

ROOT = Path(__file__).resolve().parents[2]

SMALL = {"width": 0.25, "resolution": 64, "classes": 10}

RUN = """
    const model = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
    const probabilities = async (options) => {
      const session = await InferenceSession.create(model, options);
      const [{ dims }] = session.inputs;
      const length = dims.reduce((a, b) => a * b);
      const image = Float32Array.from({ length }, (_, i) => Math.sin(i));
      const found = [];
      for (let i = 0; i < 20; i++) found.push((await session.run({ image })).probabilities.data);
      const { info, build, notes } = session;
      session.dispose();
      return { threads: info.threads, build, notes, found: found.map((data) => [...data]) };
    };
"""


def encoded_small() -> str:
    return encoded("mobilenet_v2", **SMALL)


def encoded(name: str, **arguments: object) -> str:
    return base64.b64encode(zoo.build(name, **arguments)).decode()


@pytest.mark.parametrize("simd", ["fixed", "relaxed"])
@pytest.mark.parametrize("name", zoo.NAMES)
def test_results_do_not_depend_on_threads(module, name: str, simd: str) -> None:
    seen = module(
        RUN
        + """
        const all = [];
        for (const threads of [1, 2, 3, 5]) all.push(await probabilities({ threads, simd }));
        return all;
        """,
        encoded=encoded(name, **SMALL),
        simd=simd,
    )
    assert [run["threads"] for run in seen] == [1, 2, 3, 5]
    assert [run["notes"] for run in seen] == [[]] * 4
    kind = {"fixed": "gossamer-simd", "relaxed": "gossamer-relaxed"}[simd]
    assert [run["build"] for run in seen] == [kind, *[f"{kind}-threads"] * 3]
    for run in seen:
        assert all(data == seen[0]["found"][0] for data in run["found"])
    assert abs(sum(seen[0]["found"][0]) - 1) < 1e-4


def test_the_machine_decides_where_nobody_asks(module) -> None:
    threads, notes, cores = module(
        "const s = await open(); return [s.info.threads, s.notes, navigator.hardwareConcurrency];"
    )
    assert (threads, notes) == (min(4, cores), [])


def test_no_more_threads_than_the_engine_supports(module) -> None:
    threads, notes = module(
        "const s = await open({ threads: 40 }); return [s.info.threads, s.notes];"
    )
    assert threads == 16
    assert notes == ["16 threads run instead of 40: more are not supported"]


def test_a_page_without_isolation_gets_one_thread_and_is_told_why(module) -> None:
    def without_isolation(route) -> None:
        route.fulfill(body="<!doctype html>", content_type="text/html")

    module.page.route("**/plain.html", without_isolation)
    origin = module.page.evaluate("location.origin")
    module.page.goto(f"{origin}/plain.html")
    assert not module.page.evaluate("crossOriginIsolated")
    threads, build, notes = module("""
        const session = await open({ threads: 2 });
        await session.run({ image: new Float32Array(3072) });
        return [session.info.threads, session.build, session.notes];
    """)
    assert (threads, build) == (1, "gossamer-relaxed")
    assert len(notes) == 1
    assert notes[0].startswith("1 thread runs instead of 2: the page is not cross-origin isolated.")
    assert module("return (await open({ threads: 1 })).notes;") == []


def test_threads_that_do_not_start_are_told(module, tmp_path) -> None:
    incomplete = shutil.ignore_patterns("crew_worker.mjs", "samples", "pyodide")
    shutil.copytree(ROOT / "web", tmp_path / "web", ignore=incomplete)
    with Server(tmp_path) as server:
        module.page.goto(f"{server.url}web/demo/icon.svg")
        seen = module(RUN + "return probabilities({ threads: 3 });", encoded=encoded_small())
    assert (seen["threads"], seen["build"]) == (1, "gossamer-relaxed-threads")
    assert seen["notes"][0].startswith("A thread did not start: ")
    assert seen["notes"][-1].startswith("1 thread runs instead of 3")


def test_dispose_ends_every_worker(module) -> None:
    module("globalThis.session = await open({ threads: 3 });")
    assert len(module.page.workers) >= 1
    module("globalThis.session.dispose();")
    deadline = time.monotonic() + 10
    while module.page.workers and time.monotonic() < deadline:
        module.page.wait_for_timeout(50)
    assert module.page.workers == []


def test_sessions_with_threads_run_side_by_side(module) -> None:
    seen = module(
        RUN
        + """
        const jobs = [2, 3, 2].map((threads) => probabilities({ threads }));
        return (await Promise.all(jobs)).map(({ found }) => found);
        """,
        encoded=encoded_small(),
    )
    assert all(data == seen[0][0] for found in seen for data in found)


HARNESS = """
    const [engine, model] = await Promise.all([
      fetch("/web/dist/gossamer-simd-threads.wasm").then((answer) => answer.arrayBuffer()),
      Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0)),
    ]);
    const harness = new Worker("/tests/web/crew_harness.mjs", { type: "module" });
    const ask = (question) => new Promise((resolve, reject) => {
      harness.onmessage = ({ data }) => resolve(data);
      harness.onerror = ({ message }) => reject(new Error(message));
      harness.postMessage(question);
    });
    const { places } = await ask({ engine, model, threads: 3 });
    const crew = await Promise.all(places.map((place) => new Promise((resolve) => {
      const worker = new Worker("/web/src/crew_worker.mjs", { type: "module" });
      worker.onmessage = () => { worker.postMessage(place); resolve(worker); };
    })));
    const settle = () => new Promise((resolve) => setTimeout(resolve, 300));
    await settle();
"""


def test_a_worker_that_died_at_rest_is_not_missed(module) -> None:
    codes = module(
        HARNESS
        + """
        const before = await ask({ runs: 3 });
        await settle();
        crew[0].terminate();
        await settle();
        return [before.codes, (await ask({ runs: 20 })).codes];
        """,
        encoded=encoded("mobilenet_v1", **SMALL),
    )
    assert codes == [["ok"] * 3, ["ok"] * 20]


def test_a_worker_that_dies_while_it_computes_blocks_nobody(module) -> None:
    module.page.set_default_timeout(60_000)
    during, after = module(
        HARNESS
        + """
        await ask({ runs: 1 });
        const running = ask({ runs: 100 });
        await settle();
        crew.forEach((worker) => worker.terminate());
        const during = (await running).codes;
        return [during, (await ask({ runs: 3 })).codes];
        """,
        encoded=encoded("mobilenet_v1", width=0.5, resolution=224),
    )
    finished = during.count("ok")
    assert during == ["ok"] * finished + ["worker-failed"] * (100 - finished)
    assert after == ["ok" if finished == 100 else "worker-failed"] * 3
