"""The page in a real browser: drawn, dark where asked, without a console error, printable."""

import subprocess
import zlib
from pathlib import Path

import pytest

from acpchaos.report.evidence import write_evidence

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--enable-logging=stderr", "--log-level=0",
)  # fmt: skip
DARK = "--blink-settings=preferredColorScheme=0"


def browse(browser: str, page: Path, profile: Path, *flags: str) -> str:
    """Open a page in a fresh profile; returns what the browser logged."""
    command = [browser, *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stderr


def pixels(png: Path) -> tuple[int, int, list[bytes]]:
    """(width, height, rows of RGB or RGBA bytes) of an 8-bit PNG, as Chromium writes them."""
    data, position, body, size = png.read_bytes(), 8, b"", (0, 0, 0)
    while position < len(data):
        length = int.from_bytes(data[position : position + 4])
        kind = data[position + 4 : position + 8]
        chunk = data[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            width, height = int.from_bytes(chunk[:4]), int.from_bytes(chunk[4:8])
            size = (width, height, {2: 3, 6: 4}[chunk[9]])
        elif kind == b"IDAT":
            body += chunk
        position += 12 + length
    return size[0], size[1], _unfiltered(zlib.decompress(body), *size)


def _unfiltered(raw: bytes, width: int, height: int, depth: int) -> list[bytes]:
    stride, rows, above = width * depth, [], bytearray(width * depth)
    for y in range(height):
        start = y * (stride + 1)
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + stride])
        if kind == 2:
            row = bytearray((a + b) & 255 for a, b in zip(row, above, strict=True))
        elif kind:
            for i in range(stride):
                left = row[i - depth] if i >= depth else 0
                corner = above[i - depth] if i >= depth else 0
                guess = (0, left, above[i], (left + above[i]) // 2, _paeth(left, above[i], corner))
                row[i] = (row[i] + guess[kind]) & 255
        rows.append(bytes(row))
        above = row
    return rows


def _paeth(left: int, up: int, corner: int) -> int:
    near = left + up - corner
    return min((left, up, corner), key=lambda each: abs(near - each))


@pytest.mark.parametrize(
    ("flags", "paper"), [((), (252, 252, 250)), ((DARK,), (18, 22, 27))], ids=["light", "dark"]
)
def test_page_is_drawn_without_console_errors(
    browser: str, wipe: Path, tmp_path: Path, flags: tuple[str, ...], paper: tuple[int, int, int]
) -> None:
    page, shot = write_evidence([wipe], wipe / "evidence.html"), tmp_path / "page.png"
    log = browse(
        browser, page, tmp_path / "profile", f"--screenshot={shot}", "--window-size=900,700", *flags
    )
    assert "CONSOLE" not in log, log
    width, height, rows = pixels(shot)
    depth = len(rows[0]) // width
    assert (width, height) == (900, 700)
    assert tuple(rows[-1][:3]) == paper
    plain = bytes(rows[-1][:depth]) * width
    inked = sum(row != plain for row in rows)
    assert inked > 250, f"only {inked} of {height} lines hold anything"


def test_a_console_error_would_be_seen(browser: str, tmp_path: Path) -> None:
    page = tmp_path / "broken.html"
    page.write_text("<script>console.error('seen')</script>")
    log = browse(browser, page, tmp_path / "profile", f"--screenshot={tmp_path / 'x.png'}")
    assert "CONSOLE" in log and "seen" in log


def test_page_does_not_scroll_sideways_on_a_phone(browser: str, wipe: Path, tmp_path: Path) -> None:
    html = write_evidence([wipe], wipe / "evidence.html").read_text()
    framed = tmp_path / "phone.html"
    (tmp_path / "evidence.html").write_text(html)
    framed.write_text(
        "<iframe id=f src=evidence.html width=390 height=800></iframe><script>f.onload=()=>"
        "{document.title=f.contentDocument.documentElement.scrollWidth}</script>"
    )
    command = [
        browser, *FLAGS, "--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'p'}",
        "--dump-dom", framed.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert "<title>390</title>" in done.stdout, done.stdout[:500]


def test_page_prints_with_every_row_of_the_list(browser: str, wipe: Path, tmp_path: Path) -> None:
    page = write_evidence([wipe], wipe / "evidence.html")
    sizes = []
    for name, html in (
        ("whole", page.read_text()),
        ("closed", page.read_text().replace("details::details-content", "details::nothing")),
    ):
        file, pdf = tmp_path / f"{name}.html", tmp_path / f"{name}.pdf"
        file.write_text(html)
        browse(browser, file, tmp_path / name, f"--print-to-pdf={pdf}", "--no-pdf-header-footer")
        sizes.append(pdf.read_bytes().count(b"/Type /Page\n"))
    assert sizes[0] > sizes[1] >= 2, "print must open what the screen keeps folded"
