"""A headless Chromium that tests may steer: the few words of the DevTools protocol that they need."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def chromium() -> str | None:
    """Return where the browser is, None where there is none."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Browser:
    """One page in a headless browser."""

    def __init__(self, folder: Path, address: str) -> None:
        program = chromium()
        assert program is not None
        line = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        line += [f"--user-data-dir={folder}", "--window-size=1200,900", "--no-first-run", "about:blank"]
        self.process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port = self._port(folder / "DevToolsActivePort")
        opened = urllib.request.Request(f"http://127.0.0.1:{port}/json/new?{address}", method="PUT")
        with urllib.request.urlopen(opened, timeout=60) as found:
            self._connect(json.load(found)["webSocketDebuggerUrl"])
        self.number = 0

    def _port(self, file: Path) -> str:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if file.exists() and file.read_text():
                return file.read_text().splitlines()[0]
            time.sleep(0.1)
        raise TimeoutError("the browser did not start")

    def _connect(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(1)

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its answer; events in between are let go."""
        self.number += 1
        self._send(json.dumps({"id": self.number, "method": method, "params": params}).encode())
        while True:
            answer = json.loads(self._receive())
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def _send(self, content: bytes) -> None:
        size = len(content)
        mask = os.urandom(4)
        head = struct.pack(">BB", 0x81, 0x80 | size) if size < 126 else struct.pack(">BBH", 0x81, 0x80 | 126, size)
        self.socket.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(content)))

    def _receive(self) -> bytes:
        whole = b""
        while True:
            first, size = self._exactly(2)
            size &= 0x7F
            if size == 126:
                [size] = struct.unpack(">H", self._exactly(2))
            elif size == 127:
                [size] = struct.unpack(">Q", self._exactly(8))
            whole += self._exactly(size)
            if first & 0x80:
                return whole

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            found += self.socket.recv(count - len(found))
        return found

    def value(self, script: str) -> Any:
        """Return what an expression of the page comes to."""
        return self("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)["result"].get("value")

    def until(self, script: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + 30
        while not self.value(script):
            assert time.monotonic() < end, f"never: {script}"
            time.sleep(0.05)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Move, press or release."""
        self("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, **more)

    def click(self, x: float, y: float, times: int = 1) -> None:
        """Click so many times in a row."""
        for count in range(1, times + 1):
            self.mouse("Pressed", x, y, button="left", clickCount=count)
            self.mouse("Released", x, y, button="left", clickCount=count)

    def key(self, key: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self("Input.dispatchKeyEvent", type=kind, key=key)

    def screenshot(self, path: Path) -> None:
        """Write what is seen."""
        path.write_bytes(base64.b64decode(self("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        """End it."""
        self.socket.close()
        self.process.terminate()
        self.process.wait(timeout=30)
