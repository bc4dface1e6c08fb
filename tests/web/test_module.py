"""The JavaScript module in Chromium: sessions, progress, and every kind of failure."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from models.onnx_graphs import mobilenet
from PIL import ExifTags, Image, ImageOps

import gossamer

MODEL_FILE = Path(gossamer.__file__).parent / "models" / "cifar10-mobilenet.goss"
BUILDS = {
    ("fixed", 1): "gossamer-simd",
    ("relaxed", 1): "gossamer-relaxed",
    ("fixed", 2): "gossamer-simd-threads",
    ("relaxed", 2): "gossamer-relaxed-threads",
}


@pytest.fixture
def encoded_photos(photos) -> list[str]:
    return [base64.b64encode(photo.path.read_bytes()).decode() for photo in photos]


DECODE = """
    const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const blobs = encoded.map((text) => new Blob([bytes(text)]));
"""


def test_session_describes_the_model(module) -> None:
    seen = module("""
        const session = await open();
        const { inputs, outputs, inputNames, outputNames, metadata, info } = session;
        const layers = await session.layers();
        return { inputs, outputs, inputNames, outputNames, metadata, info, layers };
    """)
    native = gossamer.load_model("cifar10-mobilenet")
    assert seen["inputs"] == [{"name": "image", "type": "float32", "dims": [1, 3, 32, 32]}]
    assert seen["outputs"] == [{"name": "probabilities", "type": "float32", "dims": [1, 10]}]
    assert (seen["inputNames"], seen["outputNames"]) == (["image"], ["probabilities"])
    assert seen["metadata"] == dict(native.metadata)
    assert seen["info"]["macs"] == native.info.macs
    assert seen["info"]["denseMacs"] == native.info.dense_macs
    assert seen["info"]["arenaBytes"] > 0
    fields = ("name", "op", "weights", "nonzeros")
    assert [[layer[key] for key in (*fields, "dims")] for layer in seen["layers"]] == [
        [*(getattr(layer, key) for key in fields), layer.shape] for layer in native.layers()
    ]


@pytest.mark.parametrize(("simd", "threads"), BUILDS)
def test_each_build_gives_native_probabilities(
    module, photos, encoded_photos, simd: str, threads: int
) -> None:
    seen = module(
        DECODE
        + """
        const session = await open({ simd, threads });
        const found = [];
        for (const blob of blobs) {
          const { probabilities } = await session.run({ image: await session.imageToTensor(blob) });
          found.push({ dims: probabilities.dims, data: [...probabilities.data] });
        }
        return { found, build: session.build, notes: session.notes, isa: session.info.isa };
        """,
        encoded=encoded_photos,
        simd=simd,
        threads=threads,
    )
    assert (seen["build"], seen["notes"]) == (BUILDS[simd, threads], [])
    assert seen["isa"] == {"fixed": "wasm_simd", "relaxed": "wasm_relaxed"}[simd]
    assert len(seen["found"]) == len(photos) > 0
    for answer, photo in zip(seen["found"], photos, strict=True):
        assert answer["dims"] == [1, 10]
        assert answer["data"] == pytest.approx(photo.probabilities, abs=1e-5)


def test_prepared_photos_equal_pythons_to_the_bit(module, photos, encoded_photos) -> None:
    tensors = module(
        DECODE
        + """
        const session = await open();
        const tensors = [];
        for (const blob of blobs) tensors.push([...(await session.imageToTensor(blob))]);
        return tensors;
        """,
        encoded=encoded_photos,
    )
    session = gossamer.load_model("cifar10-mobilenet")
    for tensor, photo in zip(tensors, photos, strict=True):
        assert tensor == gossamer.image_to_tensor(photo.path, session).ravel().tolist()


@pytest.mark.parametrize("dtype", ["u8", "f32"])
def test_models_that_take_pixels_give_pythons_answers(
    module, photos, encoded_photos, dtype: str
) -> None:
    metadata = {"image_mean": "120 120 120", "image_scale": "0.02 0.02 0.02"}
    data = gossamer.convert(mobilenet(13, "flatten"), None, metadata=metadata, pixels=dtype)
    seen = module(
        DECODE
        + """
        const session = await gossamer.InferenceSession.create(bytes(model));
        const pixels = await session.imageToTensor(blobs[0]);
        const other = new Int8Array(pixels.length);
        const wrong = await session.run({ image: other }).catch(({ message }) => message);
        const predictions = await session.classify(blobs[0]);
        const type = pixels.constructor.name;
        return { inputs: session.inputs, type, pixels: [...pixels], wrong, predictions };
        """,
        encoded=encoded_photos,
        model=base64.b64encode(data).decode(),
    )
    session = gossamer.InferenceSession(data)
    (arg,) = session.get_inputs()
    assert seen["inputs"] == [{"name": arg.name, "type": arg.dtype, "dims": arg.shape}]
    array = {"u8": "Uint8Array", "f32": "Float32Array"}[dtype]
    assert seen["type"] == array
    assert f"input '{arg.name}': Int8Array found, a {array} of" in seen["wrong"]
    path = photos[0].path
    assert seen["pixels"] == gossamer.image_to_tensor(path, session).ravel().tolist()
    for found, wanted in zip(seen["predictions"], gossamer.classify(session, path), strict=True):
        assert found["label"] == wanted.label
        assert found["probability"] == pytest.approx(wanted.probability, abs=1e-5)


def test_large_photos_are_read_strip_by_strip(module) -> None:
    assert module("""
        const canvas = new OffscreenCanvas(1000, 9001);
        const context = canvas.getContext("2d");
        for (let top = 0; top < 9001; top += 500) {
          context.fillStyle = `rgb(${top / 50}, 10, ${255 - top / 50})`;
          context.fillRect(top % 1000, top, 500, 500);
        }
        const blob = await canvas.convertToBlob({ type: "image/png" });
        const { data, width, height } = await gossamer.decodeImage(blob);
        const whole = context.getImageData(0, 0, 1000, 9001).data;
        return [width, height, data.every((value, index) => value === whole[index])];
    """) == [1000, 9001, True]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_photos_are_turned_upright(module, photos, orientation) -> None:
    picture = Image.open(photos[0].path).convert("RGB").crop((0, 0, 90, 60))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    file = io.BytesIO()
    picture.save(file, "PNG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(file)).convert("RGBA")
    seen = module(
        DECODE
        + """
        const { data, width, height } = await gossamer.decodeImage(blobs[0]);
        return { size: [width, height], data: [...data] };
        """,
        encoded=[base64.b64encode(file.getvalue()).decode()],
    )
    assert tuple(seen["size"]) == upright.size
    assert bytes(seen["data"]) == upright.tobytes()


def test_photos_of_all_kinds_are_classified_alike(module, photos, encoded_photos) -> None:
    seen = module(
        DECODE
        + """
        const session = await open();
        const blob = blobs[0];
        const bitmap = await createImageBitmap(blob);
        const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
        const context = canvas.getContext("2d");
        context.drawImage(bitmap, 0, 0);
        const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height);
        const tensor = await session.imageToTensor(blob);
        const answers = [];
        for (const image of [blob, bitmap, canvas, pixels, tensor]) {
          answers.push(await session.classify(image, { top: 2 }));
        }
        return answers;
        """,
        encoded=encoded_photos[:1],
    )
    session = gossamer.load_model("cifar10-mobilenet")
    first = gossamer.classify(session, photos[0].path, top=2)
    assert [answer["label"] for answer in seen[0]] == [answer.label for answer in first]
    assert all(answer == seen[0] for answer in seen)


def test_progress_ends_at_the_size_of_each_file(module, engines) -> None:
    events = module("""
        const events = [];
        await open({ threads: 1, onProgress: (event) => events.push(event) });
        return events;
    """)
    sizes = {
        "engine": (engines / "gossamer-relaxed.wasm").stat().st_size,
        "model": MODEL_FILE.stat().st_size,
    }
    for stage, size in sizes.items():
        of_stage = [event for event in events if event["stage"] == stage]
        loaded = [event["loaded"] for event in of_stage]
        assert loaded == sorted(loaded)
        assert (loaded[0], loaded[-1]) == (0, size)
        assert {event["total"] for event in of_stage} == {size}


def test_bytes_stay_the_callers(module) -> None:
    assert module("""
        const bytes = new Uint8Array(await (await fetch(MODEL)).arrayBuffer());
        const sessions = [
          await InferenceSession.create(bytes),
          await InferenceSession.create(bytes.buffer),
          await InferenceSession.create(await fetch(MODEL)),
          await InferenceSession.create(new URL(MODEL)),
        ];
        return [bytes.length > 0, sessions.map(({ inputNames }) => inputNames[0])];
    """) == [True, ["image"] * 4]


def test_several_sessions_run_at_once(module, photos, encoded_photos) -> None:
    labels = module(
        DECODE
        + """
        const sessions = await Promise.all(blobs.map(() => open()));
        const answers = await Promise.all(sessions.map((session, i) => session.classify(blobs[i])));
        return answers.map(([best]) => best.label);
        """,
        encoded=encoded_photos[:3],
    )
    session = gossamer.load_model("cifar10-mobilenet")
    expected = [gossamer.classify(session, photo.path, top=1)[0].label for photo in photos[:3]]
    assert labels == expected


def test_runs_of_one_session_follow_one_another(module) -> None:
    assert module("""
        const session = await open();
        const images = [0, 1, 2].map((value) => new Float32Array(3072).fill(value));
        const alone = [];
        for (const image of images) alone.push(await session.run({ image }));
        const together = await Promise.all(images.map((image) => session.run({ image })));
        const values = (answers) => answers.map(({ probabilities }) => probabilities.data.join());
        return [new Set(values(alone)).size, values(alone).join() === values(together).join()];
    """) == [3, True]


def test_profile_measures_every_layer(module) -> None:
    layers, times, peak = module("""
        const session = await open({ threads: 2 });
        const image = new Float32Array(3072);
        const times = await session.profile({ image }, { runs: 5 });
        return [(await session.layers()).length, times, await session.peakMacsPerSecond()];
    """)
    assert len(times) == layers
    assert all(len(layer) == 5 and min(layer) >= 0 for layer in times)
    assert sum(map(sum, times)) > 0
    assert 1e8 < peak < 1e13


# ---- Failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ("{}", "'image' is missing"),
        ("{ picture: tensor }", "'picture'"),
        ("{ image: tensor.slice(1) }", "3071 values found"),
        ("{ image: [...tensor] }", "Array found"),
        ("{ image: new Float64Array(tensor) }", "Float64Array found"),
        ("{ image: tensor.fill(NaN, 77, 78) }", "NaN"),
        ("tensor", "an object expected"),
        ("null", "an object expected"),
    ],
)
def test_wrong_inputs_are_named_and_the_session_stays_usable(module, inputs, words) -> None:
    error, values = module(f"""
        const session = await open();
        const tensor = new Float32Array(3072);
        const error = await failure(session.run({inputs}));
        const {{ probabilities }} = await session.run({{ image: new Float32Array(3072) }});
        return [error, [...probabilities.data]];
    """)
    assert error["code"] == "invalid-argument"
    assert words in error["message"]
    assert sum(values) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "word"),
    [("{ threads: 0 }", "threads"), ("{ threads: 1.5 }", "threads"), ("{ simd: 'best' }", "simd")],
)
def test_wrong_options_are_named(module, options, word) -> None:
    error = module(f"return failure(open({options}));")
    assert error["code"] == "invalid-argument"
    assert error["message"].startswith(word)


@pytest.mark.parametrize(
    ("image", "code", "words"),
    [
        ("new File([], 'empty.png')", "image-unreadable", "empty.png is empty (0 bytes)"),
        ("new File(['hello'], 'notes.png')", "image-unreadable", "notes.png is not a picture"),
        ("new ImageData(32769, 1)", "invalid-argument", "32768"),
    ],
)
def test_unreadable_photos_are_named_and_the_session_stays_usable(
    module, image, code, words
) -> None:
    error, count = module(f"""
        const session = await open();
        const error = await failure(session.classify({image}));
        return [error, (await session.classify(new ImageData(8, 8), {{ top: 3 }})).length];
    """)
    assert error["code"] == code
    assert words in error["message"]
    assert count == 3


def test_disposed_sessions_say_so(module) -> None:
    codes = module("""
        const session = await open();
        const image = new Float32Array(3072);
        const underway = failure(session.run({ image }));
        session.dispose();
        session.dispose();
        const later = [session.run({ image }), session.imageToTensor(new ImageData(1, 1)),
                       session.classify(image)];
        const errors = await Promise.all([underway, ...later.map(failure)]);
        return errors.map((error) => error.code);
    """)
    assert codes == ["disposed"] * 4


def test_missing_model_gives_its_address_and_status(module, url) -> None:
    error = module("return failure(InferenceSession.create('/models/none.goss'));")
    assert error["code"] == "fetch-failed"
    assert f"{url}models/none.goss" in error["message"]
    assert "404" in error["message"]


def test_unreachable_server_is_a_failed_fetch(module) -> None:
    module.page.route("**/gone.goss", lambda route: route.abort())
    error = module("return failure(InferenceSession.create('/gone.goss'));")
    assert error["code"] == "fetch-failed"
    assert "/gone.goss" in error["message"]


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        ("bytes.slice(0, 0)", "model-corrupt"),
        ("bytes.slice(0, 100)", "model-corrupt"),
        ("bytes.slice(0, -1)", "model-corrupt"),
        ("bytes.with(bytes.length >> 1, bytes[bytes.length >> 1] ^ 1)", "model-corrupt"),
        ("new TextEncoder().encode('<!doctype html>')", "model-corrupt"),
    ],
)
def test_damaged_models_are_told_apart(module, damage, code) -> None:
    error = module(f"""
        const bytes = new Uint8Array(await (await fetch(MODEL)).arrayBuffer());
        return failure(InferenceSession.create({damage}));
    """)
    assert error["code"] == code
    assert error["message"]


def test_corrupt_model_file_is_named(module, url) -> None:
    error = module("return failure(InferenceSession.create('/LICENSE'));")
    assert error["code"] == "model-corrupt"
    assert error["message"].startswith(f"{url}LICENSE: ")


@pytest.mark.parametrize("source", ["undefined", "42", "{}", "'http://'"])
def test_things_that_are_no_model_are_refused(module, source) -> None:
    assert module(f"return failure(InferenceSession.create({source}));")["code"] == (
        "invalid-argument"
    )


def test_page_instead_of_the_engine_is_recognized(module) -> None:
    module.page.route(
        "**/*.wasm",
        lambda route: route.fulfill(status=200, content_type="text/html", body="<!doctype html>"),
    )
    error = module("return failure(open());")
    assert error["code"] == "not-wasm"
    assert "/web/dist/gossamer-relaxed" in error["message"]
    assert "text/html, 15 bytes; CompileError" in error["message"]


def test_truncated_engine_is_recognized(module, engines) -> None:
    part = (engines / "gossamer-relaxed.wasm").read_bytes()[:1000]
    module.page.route("**/*.wasm", lambda route: route.fulfill(status=200, body=part))
    assert module("return failure(open());")["code"] == "not-wasm"


def test_no_memory_to_compile_the_engine_in_is_reported(module) -> None:
    error = module("""
        WebAssembly.compile = async () => { throw new RangeError("no room"); };
        return failure(open());
    """)
    assert error["code"] == "out-of-memory"
    assert error["message"].endswith("no room")


def test_engine_of_another_kind_is_recognized(module) -> None:
    nothing = b"\0asm\1\0\0\0"
    module.page.route("**/*.wasm", lambda route: route.fulfill(status=200, body=nothing))
    error = module("return failure(open());")
    assert error["code"] == "not-wasm"
    assert "one version" in error["message"]


def test_worker_that_cannot_be_loaded_is_reported(module) -> None:
    module.page.route("**/worker.mjs", lambda route: route.fulfill(status=404))
    assert module("return failure(open());")["code"] == "worker-failed"


def test_browser_without_simd_is_told_what_has_it(module) -> None:
    error = module("WebAssembly.validate = () => false; return failure(open());")
    assert error["code"] == "unsupported-engine"
    assert "Safari from 16.4" in error["message"]


def test_browser_without_relaxed_simd_gets_the_fixed_build_and_a_note(module) -> None:
    build, notes = module("""
        const validate = WebAssembly.validate;
        let probes = 0;
        WebAssembly.validate = (bytes) => probes++ === 0 && validate(bytes);
        const session = await open({ threads: 1 });
        return [session.build, session.notes];
    """)
    assert build == "gossamer-simd"
    assert notes == ["Fixed SIMD runs: this browser has no relaxed SIMD."]


@pytest.mark.parametrize("stage", ["engine", "model"])
def test_loading_can_be_aborted(module, stage) -> None:
    error = module(
        """
        const aborter = new AbortController();
        const onProgress = (event) => event.stage === stage && aborter.abort();
        return failure(open({ signal: aborter.signal, onProgress }));
        """,
        stage=stage,
    )
    assert error["code"] == "aborted"


def test_aborted_signal_loads_nothing(module) -> None:
    requests: list[str] = []
    module.page.on("request", lambda request: requests.append(request.url))
    assert module("return failure(open({ signal: AbortSignal.abort() }));")["code"] == "aborted"
    assert not [address for address in requests if address.endswith((".wasm", ".goss"))]
