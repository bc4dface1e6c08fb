"""The demo page in Chromium, used the ways that people use it."""

from __future__ import annotations

import base64
import re

import pytest

import gossamer

READY = "html[data-state=ready]"


@pytest.fixture
def demo(page, url):
    """The page, with the answer for its first sample."""
    return open_demo(page, url)


def open_demo(page, url, query=""):
    page.goto(f"{url}web/demo/{query}")
    page.wait_for_selector(READY)
    page.wait_for_selector("#predictions[data-photo]")
    return page


def answer(page, name: str) -> list[tuple[str, float]]:
    """What the page says of a photo, once it does."""
    page.wait_for_selector(f'#predictions[data-photo="{name}"]')
    return page.eval_on_selector_all(
        "#predictions li",
        "rows => rows.map((r) => [r.dataset.label, Number(r.dataset.probability)])",
    )


def expected(photo, top: int = 5) -> list[gossamer.Prediction]:
    session = gossamer.load_model("cifar10-mobilenet")
    return gossamer.classify(session, photo.path, top=top)


def assert_answer(page, name, photo) -> None:
    seen, native = answer(page, name), expected(photo)
    assert [label for label, _ in seen] == [label for label, _ in native]
    for (_, probability), (_, wanted) in zip(seen, native, strict=True):
        assert probability == pytest.approx(wanted, abs=1e-5)


def drop(page, name: str, content: bytes) -> None:
    """Drop a file onto the page."""
    page.evaluate(
        """([name, text]) => {
            const transfer = new DataTransfer();
            const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            transfer.items.add(new File([bytes], name));
            for (const type of ["dragover", "drop"]) {
              const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
              document.querySelector("#drop").dispatchEvent(new DragEvent(type, options));
            }
        }""",
        [name, base64.b64encode(content).decode()],
    )


@pytest.mark.parametrize("simd", ["fixed", "relaxed"])
def test_every_sample_gets_the_native_answer(page, url, photos, complaints, simd) -> None:
    demo = open_demo(page, url, f"?simd={simd}")
    for photo in photos:
        demo.click(f'#samples button[data-file="{photo.path.name}"]')
        assert_answer(demo, photo.path.name, photo)
    build = {"fixed": "gossamer-simd", "relaxed": "gossamer-relaxed"}[simd]
    threads = "-threads" if page.evaluate("navigator.hardwareConcurrency") > 1 else ""
    assert demo.locator("html").get_attribute("data-build") == build + threads
    assert f"{simd} SIMD" in demo.inner_text("#facts")
    assert complaints == []


def test_page_says_how_it_runs(demo) -> None:
    facts = demo.inner_text("#facts")
    assert re.search(r"\d ms per photo, median of 15", facts)
    assert float(demo.locator("[data-fact=latency]").get_attribute("data-ms")) > 0
    assert re.search(r"Zeros\s+\d+\.\d % of", facts)
    assert demo.inner_text("#notes") == ""
    assert "airplane, automobile" in demo.inner_text("footer")
    assert demo.is_hidden("#loading")


def test_page_leaves_nothing_global(demo) -> None:
    demo.evaluate("""async () => {
        const frame = document.createElement("iframe");
        document.body.append(frame);
        window.fresh = Object.getOwnPropertyNames(frame.contentWindow);
        frame.remove();
    }""")
    own = demo.evaluate("""() => Object.getOwnPropertyNames(window)
        .filter((name) => !window.fresh.includes(name) && Number.isNaN(Number(name)))""")
    assert set(own) <= {"fresh"} | {name for name in own if name.startswith("__p")}


def test_loading_shows_progress(page, url) -> None:
    page.add_init_script("""
        window.values = [];
        new MutationObserver(() => {
          const bytes = document.querySelector("#bytes");
          if (bytes?.textContent) window.values.push(bytes.textContent);
        }).observe(document, { subtree: true, childList: true });
    """)
    open_demo(page, url)
    seen = page.evaluate("window.values")
    assert seen
    assert re.fullmatch(r"([\d.]+ MB) of \1", seen[-1])


def test_chosen_file_is_classified(demo, photos, complaints) -> None:
    demo.set_input_files("#file", photos[1].path)
    assert_answer(demo, photos[1].path.name, photos[1])
    assert demo.inner_text("#caption") == photos[1].path.name
    assert demo.locator("#samples [aria-pressed=true]").count() == 0
    assert demo.inner_text("#announcement").startswith(expected(photos[1])[0].label)
    assert complaints == []


def test_dropped_file_is_classified(demo, photos) -> None:
    drop(demo, "dropped.png", photos[2].path.read_bytes())
    assert_answer(demo, "dropped.png", photos[2])
    assert demo.locator(".dragging").count() == 0


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "empty (0 bytes)"), (b"not a picture", "is not a picture")]
)
@pytest.mark.parametrize("way", ["chosen", "dropped"])
def test_useless_files_are_explained_and_the_page_goes_on(
    demo, photos, complaints, content, words, way
) -> None:
    if way == "chosen":
        file = {"name": "odd.png", "mimeType": "image/png", "buffer": content}
        demo.set_input_files("#file", file)
    else:
        drop(demo, "odd.png", content)
    demo.wait_for_selector("#error:not(:empty)")
    assert words in demo.inner_text("#error")
    assert "odd.png" in demo.inner_text("#error")
    assert demo.locator("#error").get_attribute("role") == "alert"

    demo.set_input_files("#file", photos[1].path)
    assert_answer(demo, photos[1].path.name, photos[1])
    assert demo.inner_text("#error") == ""
    assert complaints == []


def test_keyboard_alone_reaches_everything(demo, photos) -> None:
    reached = []
    for _ in range(2 + len(photos)):
        demo.keyboard.press("Tab")
        reached.append(
            demo.evaluate("document.activeElement.id || document.activeElement.dataset.file")
        )
    assert reached == ["file", "camera", *(photo.path.name for photo in photos)]
    style = "getComputedStyle(document.activeElement).outlineStyle"
    assert demo.evaluate(style) == "solid"
    demo.keyboard.press("Enter")
    assert_answer(demo, photos[-1].path.name, photos[-1])


def test_hidden_file_picker_shows_its_focus(demo) -> None:
    demo.focus("#camera")
    demo.keyboard.press("Shift+Tab")
    outline = "label => getComputedStyle(label).outlineStyle"
    assert demo.eval_on_selector("label[for=file]", outline) == "solid"


@pytest.mark.parametrize("width", [320, 375])
def test_phones_need_no_sideways_scrolling_and_no_magnifier(browser, url, width) -> None:
    context = browser.new_context(viewport={"width": width, "height": 700}, is_mobile=True)
    page = open_demo(context.new_page(), url)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    smallest = page.evaluate("""() => Math.min(...[...document.querySelectorAll("body *")]
        .filter((element) => element.innerText && element.offsetParent)
        .map((element) => parseFloat(getComputedStyle(element).fontSize)))""")
    assert smallest >= 16
    heights = page.eval_on_selector_all(".button", "all => all.map((b) => b.offsetHeight)")
    assert min(heights) >= 44
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser, url, scheme) -> None:
    context = browser.new_context(color_scheme=scheme)
    page = open_demo(context.new_page(), url)
    for text, ground in [
        ("body", "body"),
        ("dt", "body"),
        ("label[for=file]", "label[for=file]"),
        ("#camera", "body"),
    ]:
        assert contrast(page, text, ground) >= 4.5, (text, scheme)
    context.close()


def contrast(page, text: str, ground: str) -> float:
    """WCAG's contrast of an element's colour with another's background."""

    def luminance(selector: str, key: str) -> float:
        colour = page.eval_on_selector(selector, f"element => getComputedStyle(element).{key}")
        channels = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    pair = sorted([luminance(text, "color"), luminance(ground, "backgroundColor")])
    return (pair[1] + 0.05) / (pair[0] + 0.05)


def test_camera_frames_are_classified_until_it_stops(context, page, url, complaints) -> None:
    context.grant_permissions(["camera"])
    demo = open_demo(page, url)
    demo.click("#camera")
    assert len(answer(demo, "camera")) == 5
    assert demo.is_visible("#video")
    assert demo.locator("#camera").get_attribute("aria-pressed") == "true"
    demo.wait_for_function(
        "() => document.querySelector('[data-fact=latency]').textContent.endsWith('of 15')"
    )
    demo.click("#camera")
    assert demo.inner_text("#camera") == "Use the camera"
    assert demo.is_hidden("#video")
    assert demo.evaluate("document.querySelector('#video').srcObject") is None
    assert complaints == []


def test_sample_stops_the_camera(context, page, url, photos) -> None:
    context.grant_permissions(["camera"])
    demo = open_demo(page, url)
    demo.click("#camera")
    answer(demo, "camera")
    demo.click(f'#samples button[data-file="{photos[2].path.name}"]')
    assert_answer(demo, photos[2].path.name, photos[2])
    assert demo.is_hidden("#video")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotAllowedError", "may not be used"),
        ("NotFoundError", "No camera was found"),
        ("NotReadableError", "in use by another program"),
    ],
)
def test_camera_that_cannot_be_had_is_explained(page, url, photos, name, words) -> None:
    page.add_init_script(f"""
        navigator.mediaDevices.getUserMedia = async () => {{
          throw new DOMException("", "{name}");
        }};
    """)
    demo = open_demo(page, url)
    demo.click("#camera")
    demo.wait_for_selector("#error:not(:empty)")
    assert words in demo.inner_text("#error")
    assert demo.locator("#camera").get_attribute("aria-pressed") == "false"
    demo.click(f'#samples button[data-file="{photos[1].path.name}"]')
    assert_answer(demo, photos[1].path.name, photos[1])


@pytest.mark.parametrize(
    ("pattern", "response", "code"),
    [
        ("**/*.wasm", {"content_type": "text/html", "body": "<!doctype html>"}, "not-wasm"),
        ("**/*.wasm", {"status": 404}, "fetch-failed"),
        ("**/*.goss", {"status": 404}, "fetch-failed"),
        ("**/*.goss", {"body": "<!doctype html>"}, "model-corrupt"),
        ("**/samples.json", {"status": 500}, "fetch-failed"),
    ],
)
def test_page_that_cannot_start_says_why(page, url, pattern, response, code) -> None:
    page.route(pattern, lambda route: route.fulfill(**response))
    page.goto(f"{url}web/demo/")
    page.wait_for_selector("html[data-state=failed]")
    assert page.locator("#error").get_attribute("data-code") == code
    assert page.inner_text("#error")
    assert page.is_disabled("#camera")
    assert page.is_hidden("#loading")


def test_browser_without_simd_gets_an_explanation(page, url) -> None:
    page.add_init_script("WebAssembly.validate = () => false;")
    page.goto(f"{url}web/demo/")
    page.wait_for_selector("html[data-state=failed]")
    assert page.locator("#error").get_attribute("data-code") == "unsupported-engine"
    assert "Firefox from 89" in page.inner_text("#error")


def test_policy_forbids_eval_and_foreign_sources(demo) -> None:
    # What the driver itself evaluates is exempt; what it schedules is not.
    assert (
        demo.evaluate("""() => new Promise((resolve) => setTimeout(() => {
        try { resolve(new Function("return 1")()); } catch (error) { resolve(error.name); }
    }))""")
        == "EvalError"
    )
    assert (
        demo.evaluate("""() => new Promise((resolve) => {
        document.addEventListener("securitypolicyviolation", (event) => {
          resolve(event.effectiveDirective);
        });
        fetch("https://example.com/").catch(() => {});
    })""")
        == "connect-src"
    )
