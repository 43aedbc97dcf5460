"""A real browser, where there is one, and what colours look like to a reader."""

import re
import shutil
import subprocess
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--allow-file-access-from-files",
    "--enable-logging=stderr",
    "--autoplay-policy=no-user-gesture-required",
    "--window-size=1280,900",
)


def seen_in_a_browser(results: Path, page: str) -> dict[str, str]:
    """What a page beside the report, which looks at it in a frame, has found: its root's data."""
    (results / "results/report/phone.html").write_text(page)
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={results}/profile", "--virtual-time-budget=4000", "--dump-dom", (results / "results/report/phone.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    seen = dict(re.findall(r'data-(\w+)="([^"]*)"', done.stdout.split(">", 2)[1]))
    assert "CONSOLE" not in done.stderr, done.stderr
    assert seen.get("done") == "yes", done.stdout[:500]
    return seen


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    return sum(w * (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4) for w, p in zip((0.2126, 0.7152, 0.0722), parts))
