"""Looks at a page in a real browser: `check.py PAGE.html FOLDER [--chromium PATH]`.

Writes a screenshot of the whole page for each colour scheme and width into FOLDER, and prints what is wrong, one finding a line: errors and warnings of the
console, requests that leave the page, a page wider than the window, pictures or sounds that do not decode, text with too little contrast (WCAG 2.2, AA).
Exit code 1 if there is a finding. Needs the package `playwright` and a Chromium; the one that `apt-get install chromium` brings will do.
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTHS = [1280, 400]
SCHEMES = ["light", "dark"]

MEDIA = """async () => {
    const bad = [];
    for (const image of document.images) if (!(image.complete && image.naturalWidth > 0)) bad.push('picture: ' + image.alt);
    for (const audio of document.querySelectorAll('audio')) {
        const loaded = new Promise(done => { audio.onloadedmetadata = () => done(audio.duration > 0); audio.onerror = () => done(false); });
        audio.load(); audio.preload = 'metadata';
        if (!await Promise.race([loaded, new Promise(done => setTimeout(() => done(false), 5000))])) bad.push('sound: ' + audio.ariaLabel);
    }
    return bad;
}"""

# Colours are painted to a canvas, so that the browser itself mixes and converts them.
CONTRAST = """() => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const paint = colors => { for (const color of colors) { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); } return canvas.getImageData(0, 0, 1, 1).data; };
    const light = ([r, g, b]) => { const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * x + 0.7152 * y + 0.0722 * z; };
    const bad = new Set();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node; node = walker.nextNode();) {
        const element = node.parentElement;
        if (!node.data.trim() || !element.checkVisibility() || element.closest('title')) continue;
        const grounds = [];
        for (let e = element; e; e = e.parentElement) grounds.unshift(getComputedStyle(e).backgroundColor);
        const style = getComputedStyle(element);
        const ground = light(paint(['white', ...grounds])), ink = light(paint(['white', ...grounds, element.closest('svg') ? style.fill : style.color]));
        const ratio = (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
        if (ratio < 4.5) bad.add(`${ratio.toFixed(2)}: ${element.tagName.toLowerCase()}.${element.className.baseVal ?? element.className} "${node.data.trim().slice(0, 30)}"`);
    }
    return [...bad];
}"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chromium", default="chromium", help="its path, or a name on PATH; default %(default)s")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        # Containers run as root, where Chromium's own sandbox does not start. The page is ours.
        browser = playwright.chromium.launch(executable_path=shutil.which(options.chromium), args=["--no-sandbox"])
        findings = [finding for scheme in SCHEMES for width in WIDTHS for finding in look(browser, options, scheme, width)]
        browser.close()
    print(*findings, sep="\n")
    return 1 if findings else 0


def look(browser, options, scheme, width):
    """What is wrong with the page in this scheme at this width."""
    findings = []
    address = options.page.resolve().as_uri()
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.on("console", lambda message: findings.append(f"console {message.type}: {message.text}") if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: findings.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (findings.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: None if request.url.startswith((address, "data:")) else findings.append(f"request: {request.url}"))
    page.goto(address, wait_until="load")
    page.screenshot(path=options.folder / f"{options.page.stem}-{scheme}-{width}.png", full_page=True)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        findings.append(f"the page is {wide} px wider than the window")
    findings += page.evaluate(MEDIA)
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    findings += [f"contrast {finding}" for finding in page.evaluate(CONTRAST)]
    context.close()
    return [f"{scheme}, {width} px: {finding}" for finding in findings]


if __name__ == "__main__":
    sys.exit(main())
