#!/usr/bin/env python3
"""The web page: what it is served as, and, where there is Chromium, what it does with a picture.

Chromium is spoken to through a pipe, by its DevTools protocol; nothing else is needed. Without it
(SCREE_CHROMIUM names another) those tests are skipped.

usage: page.py SCREE MODELS-FOLDER [TEST...]
"""
import base64
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from server import MODELS, Server, main

HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
CHROMIUM = os.environ.get("SCREE_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def test_who_gets_it():
    with Server() as server:
        response, page = server.ask("GET", "/", headers=HTML)
        assert response.getheader("Content-Type") == "text/html; charset=utf-8"
        assert response.getheader("Vary") == "Accept"
        for accept in (None, "*/*", "application/json", "application/json, text/html;q=0.5"):
            answer = server.json("GET", "/", headers={"Accept": accept} if accept else {})
            assert answer["service"] == "NPU Inference Server", answer
        policy = response.getheader("Content-Security-Policy")
        for name in ("script", "style"):
            text, = re.findall(rb"<%s>(.*?)</%s>" % (name.encode(), name.encode()), page, re.S)
            digest = base64.b64encode(hashlib.sha256(text).digest()).decode()
            assert f"{name}-src 'sha256-{digest}'" in policy, policy
        assert "unsafe" not in policy and "default-src 'none'" in policy
        # Nothing comes from anywhere else.
        addresses = {a for a in re.findall(rb"https?://[^\s\"'`)]+", page)}
        assert addresses == {b"http://www.w3.org/2000/svg"}, addresses


def test_what_it_shows():
    with Server() as server:
        stats = server.json("GET", "/v1/stats")
        assert [m["name"] for m in stats["models"]] == ["classifier", "detector"]
        assert {m["task"] for m in stats["models"]} == {"classify", "detect"}
        server.json("POST", "/infer?model=classifier", next(MODELS.glob("pictures/*.png")).read_bytes())
        model = server.json("GET", "/v1/stats")["models"][0]
        assert model["counts"]["ok"] == 1 and model["counts"]["mean_ms"]["compute"] > 0, model
        nodes = server.json("GET", "/v1/placement?model=detector")["nodes"]
        assert len(nodes) > 10 and all(node["device"] in ("cpu", "none") for node in nodes)
        server.json("GET", "/v1/placement?model=none", status=404)
        findings = server.json("GET", "/v1/doctor")["findings"]
        assert findings and all(f["status"] in ("ok", "warning", "error") for f in findings)


class Browser:
    """Chromium with one page."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="scree-chromium-")
        to_read, self.write = os.pipe()
        self.read, to_write = os.pipe()

        def connect():
            os.dup2(os.dup(to_read), 3)
            os.dup2(os.dup(to_write), 4)

        # The pipe's ends are 3 and 4 there; high numbers here, so that they are not in the way.
        to_read, to_write = high(to_read), high(to_write)
        self.write, self.read = high(self.write), high(self.read)
        self.process = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--remote-debugging-pipe", "--no-first-run", "--user-data-dir=" + self.folder,
             "--window-size=1000,900", "about:blank"], preexec_fn=connect, close_fds=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.buffer, self.number, self.complaints = b"", 0, []
        target = self.page()
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "DOM", "Log"):
            self.call(domain + ".enable")

    session = None

    def page(self):
        """The page's target; Chromium has others, of its own windows, which nobody sees."""
        for _ in range(300):
            for target in self.call("Target.getTargets")["targetInfos"]:
                if target["type"] == "page":
                    return target["targetId"]
            time.sleep(0.1)
        raise AssertionError("the browser has no page")

    def message(self):
        while b"\0" not in self.buffer:
            part = os.read(self.read, 1 << 20)
            if not part:
                raise AssertionError("the browser has gone")
            self.buffer += part
        text, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        ask = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            ask["sessionId"] = self.session
        os.write(self.write, json.dumps(ask).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]
            if message.get("method") == "Runtime.exceptionThrown" or (
                    message.get("method") == "Log.entryAdded"
                    and message["params"]["entry"]["level"] == "error"):
                self.complaints.append(message["params"])

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression, seconds=30):
        end = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, (expression, self.complaints,
                                            self.evaluate("document.body.innerText"))
            time.sleep(0.1)
        return value

    def open(self, server):
        self.call("Page.navigate", url=f"http://127.0.0.1:{server.port}/")
        self.wait("document.readyState === 'complete' && document.querySelector('#model').value")

    def drop(self, path):
        """Drops a file on the page, as a hand would."""
        self.evaluate("""(async () => {
            const raw = Uint8Array.from(atob('%s'), c => c.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([raw], 'picture', {type: 'image/%s'}));
            document.querySelector('#drop').dispatchEvent(new DragEvent('drop',
                {dataTransfer: data, bubbles: true, cancelable: true}));
        })()""" % (base64.b64encode(path.read_bytes()).decode(), path.suffix[1:].replace("jpg", "jpeg")))

    def close(self):
        os.close(self.write)
        os.close(self.read)
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


def high(fd):
    """The same descriptor with a number from 20 on, inherited by programs."""
    import fcntl
    copy = fcntl.fcntl(fd, fcntl.F_DUPFD, 20)
    os.close(fd)
    os.set_inheritable(copy, True)
    return copy


@contextlib.contextmanager
def browser_on(server):
    browser = Browser()
    try:
        browser.open(server)
        yield browser
    finally:
        browser.close()


def has_browser():
    if CHROMIUM is None:
        print("# skipped: no Chromium here")
    return CHROMIUM is not None


def test_a_picture_is_dropped():
    if not has_browser():
        return
    scene = MODELS / "pictures" / "scene_1.jpg"
    with Server() as server, browser_on(server) as browser:
        wanted = server.json("POST", "/infer?model=detector&threshold=0.4&top=25",
                             scene.read_bytes())["detections"]
        browser.drop(scene)
        browser.wait("document.querySelectorAll('#found li').length")
        found = browser.evaluate("[...document.querySelectorAll('#found li b')].map(e => e.textContent)")
        assert found == [thing["class"] for thing in wanted], (found, wanted)
        assert browser.evaluate("document.querySelector('#view').getAttribute('aria-label')").count(
            wanted[0]["class"])
        # The box is in the canvas: its colour on the left side of it, as the server would draw it.
        x0, y0, x1, y1 = wanted[0]["bbox"]
        browser.wait("!document.querySelector('#timing').hidden")
        pixel = browser.evaluate(
            "[...document.querySelector('#view').getContext('2d')"
            f".getImageData({round(x0)}, {round((y0 + y1) / 2)}, 1, 1).data].slice(0, 3)")
        color = browser.evaluate(f"color({wanted[0]['class_id']})")
        assert max(abs(a - b) for a, b in zip(pixel, color)) < 40, (pixel, color)
        assert "on cpu" in browser.evaluate("document.querySelector('#total').textContent")
        # Another model, another answer.
        browser.evaluate("(m => { m.value = 'classifier'; m.onchange(); })(document.querySelector('#model'))")
        browser.wait("document.querySelector('#message').textContent.startsWith('classifier')")
        # What was found came by the events, too.
        browser.wait("document.querySelectorAll('#events time').length")
        assert not browser.complaints, browser.complaints


def test_an_answer_comes_too_late():
    if not has_browser():
        return
    with Server() as server, browser_on(server) as browser:
        browser.evaluate("""(real => {
            window.held = [];
            window.fetch = (path, options) => path.startsWith('/infer') && window.held
                ? new Promise(go => window.held.push(go)).then(() => real(path, options)) : real(path, options);
        })(window.fetch)""")
        browser.drop(MODELS / "pictures" / "scene_1.jpg")
        browser.wait("window.held.length")
        browser.evaluate("(m => { m.value = 'classifier'; m.onchange(); })(document.querySelector('#model'))")
        browser.evaluate("(held => { window.held = null; held.forEach(go => go()); })(window.held)")
        browser.wait("document.querySelector('#message').textContent.startsWith('classifier')")
        assert not browser.evaluate("answer.detections")


def test_the_server_goes_and_comes():
    if not has_browser():
        return
    with Server() as server, browser_on(server) as browser:
        device = "document.querySelector('#device').textContent"
        browser.call("Network.enable")
        browser.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
        browser.wait(device + " === 'away'")
        browser.drop(MODELS / "pictures" / "scene_1.jpg")
        browser.wait("document.querySelector('#message').textContent === 'The server does not answer.'")
        browser.evaluate("document.querySelector('#doctor').replaceChildren()")
        browser.call("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1)
        browser.wait(device + " === 'cpu'")
        browser.wait("document.querySelectorAll('#doctor b').length")


def test_a_token_is_asked_for():
    if not has_browser():
        return
    with tempfile.TemporaryDirectory() as folder:
        tokens = pathlib.Path(folder) / "tokens"
        tokens.write_text("let-me-in\n")
        browser = Browser()
        with contextlib.closing(browser), Server("--token-file", str(tokens)) as server:
            facts = "document.querySelector('#facts')?.textContent"
            browser.call("Page.navigate", url=f"http://127.0.0.1:{server.port}/")
            browser.wait(facts + " === 'This server asks for a token: see Access.'")
            for token, said in (("wrong-one", "The server does not take this token: see Access."), ("let-me-in", "version")):
                browser.evaluate(f"$('token').value = '{token}'; document.querySelector('.access').open = true;"
                                 "$('token').focus(); $('access').requestSubmit()")
                browser.wait(facts + f".startsWith('{said}')")
                assert browser.evaluate("document.activeElement.textContent") == "Access"
            browser.wait("document.querySelectorAll('#models tr').length === 2")


def test_a_narrow_picture_keeps_its_shape():
    if not has_browser():
        return
    with tempfile.TemporaryDirectory() as folder, Server() as server, browser_on(server) as browser:
        picture = pathlib.Path(folder) / "narrow.ppm"
        picture.write_bytes(b"P6 4 4 255\n" + bytes(48))
        browser.drop(picture)
        browser.wait("document.querySelector('#message').classList.contains('bad')")
        browser.evaluate("""(async () => {
            const canvas = new OffscreenCanvas(200, 1800);
            canvas.getContext('2d').fillRect(0, 0, 200, 1800);
            await take(await canvas.convertToBlob());
        })()""")
        shape = browser.evaluate("(v => [v.clientWidth, v.clientHeight, getComputedStyle(v).objectFit])"
                                 "(document.querySelector('#view'))")
        assert shape[1] < 1800 and (shape[2] == "contain" or 9 * shape[0] == shape[1]), shape


def test_models_and_charts():
    if not has_browser():
        return
    with Server() as server, browser_on(server) as browser:
        browser.wait("document.querySelectorAll('#models tr').length === 2")
        browser.evaluate("document.querySelector('#models button').click()")
        browser.wait("document.querySelectorAll('#placement tbody tr').length > 10")
        browser.evaluate("document.querySelector('#placement > button').click()")
        assert browser.evaluate("document.activeElement.getAttribute('aria-label')") == "Operators classifier 1"
        browser.evaluate("document.querySelector('[aria-label^=\"Unload classifier\"]').focus();"
                         "document.querySelector('[aria-label^=\"Unload classifier\"]').click()")
        browser.wait("document.querySelector('#models-message').textContent === 'classifier is unloaded.'")
        server.json("POST", "/infer?model=classifier", b"x", status=503)
        # The focus is on what is there in its place.
        browser.wait("document.activeElement.getAttribute('aria-label') === 'Load classifier'")
        browser.evaluate("document.querySelector('[aria-label^=\"Load classifier\"]').click()")
        browser.wait("document.querySelector('#models-message').textContent === 'classifier is loaded.'")
        for _ in range(30):
            server.json("POST", "/infer", next(MODELS.glob("pictures/*.png")).read_bytes())
            time.sleep(0.1)
        browser.wait("/[1-9]/.test(document.querySelector('.chart h3 span').textContent)")
        browser.wait("document.querySelectorAll('#doctor b').length")
        for width in (340, 1400):
            browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
        assert not [c for c in browser.complaints if "503" not in json.dumps(c)], browser.complaints


if __name__ == "__main__":
    sys.exit(main(globals()))
