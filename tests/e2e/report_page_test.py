"""A job's report page in a real Chromium: on narrow and wide screens, in light and dark, printed. Skipped where there is none:
scripts/setup --browser installs one.

    tests/e2e/report_page_test.py --screenshots DIR    also leaves what Chromium shows there
"""
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SKIPPED = 77  # what ctest takes as "skipped"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    print("SKIPPED: there is no Chromium; scripts/setup --browser installs one (80 MB)", flush=True)
    sys.exit(SKIPPED)

from PIL import Image  # noqa: E402

import service  # noqa: E402
from likeness.v1 import fine_tune_pb2  # noqa: E402

# The page in a frame of a screen's width, and what a reader would see of it. Pages of file: may look into each other here.
FRAME = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="page" src="index.html" width="{width}" height="4000" style="border:0"></iframe><script>
document.getElementById("page").onload = event => {{
  const page = event.target.contentDocument, images = [...page.images];
  const shown = {{
    width: page.documentElement.scrollWidth,
    images: images.length,
    broken: images.filter(image => !image.naturalWidth).length,
    untold: images.filter(image => !image.alt).length,
    columns: getComputedStyle(page.querySelector(".pictures")).gridTemplateColumns.split(" ").length,
    headings: [...page.querySelectorAll("h2")].map(heading => heading.textContent),
    curves: [...page.querySelectorAll("svg path")].map(path => path.getTotalLength()),
    outside: performance.getEntriesByType("resource").map(entry => entry.name).filter(name => !name.startsWith("file:")),
    ink: getComputedStyle(page.body).color, paper: getComputedStyle(page.body).backgroundColor}};
  document.body.innerHTML = "<pre id=shown>" + JSON.stringify(shown).replace(/</g, "&lt;") + "</pre>";
}};</script>"""


def chromium(*flags):
    with tempfile.TemporaryDirectory(prefix="likeness-chromium-") as profile:
        ran = subprocess.run([CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                              "--allow-file-access-from-files", "--enable-logging=stderr", f"--user-data-dir={profile}", *map(str, flags)],
                             capture_output=True, text=True, timeout=120)
    if ran.returncode != 0:
        raise AssertionError(ran.stderr)
    return ran


class ReportPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = service.Service(evaluators=True)
        cls.addClassCleanup(cls.service.close)
        cls.service.start_worker()
        cls.service.wait_for_models()
        job = service.fine_tune_job(service.draw_photos(cls.service.directory / "photos"),
                                    stop_rule=fine_tune_pb2.STOP_RULE_BEST)
        job.fine_tune.samples.prompts.append("a {subject} & a <b>very</b> " + "long " * 40 + "prompt-without-a-place-to-break" * 4)
        job.fine_tune.samples.images_per_prompt = 2
        done = cls.service.wait(cls.service.create(job).name)
        assert done.state == service.State.JOB_STATE_SUCCEEDED, done
        cls.folder = cls.service.directory / "page"
        cls.folder.mkdir()
        (cls.folder / "index.html").write_bytes(cls.service.outputs(done)["report/index.html"])

    def shown(self, width, *flags):
        frame = self.folder / f"frame-{width}.html"
        frame.write_text(FRAME.format(width=width))
        ran = chromium("--virtual-time-budget=10000", "--dump-dom", *flags, frame.as_uri())
        self.assertNotIn("CONSOLE", ran.stderr, "the page complains of nothing")
        found = re.search(r"<pre id=\"?shown\"?>(.*?)</pre>", ran.stdout, re.S)
        self.assertTrue(found, ran.stdout[:2000])
        return json.loads(found.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))

    def screenshot(self, width, *flags):
        png = self.folder / f"{width}-{len(flags)}.png"
        chromium(f"--window-size={width},2400", f"--screenshot={png}", *flags, (self.folder / "index.html").as_uri())
        if SCREENSHOTS:
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            shutil.copy(png, SCREENSHOTS / png.name)
        return Image.open(io.BytesIO(png.read_bytes())).convert("RGB")

    def test_nothing_is_cut_off_or_missing_on_narrow_and_wide_screens(self):
        columns = {}
        for width in (400, 1400):
            shown = self.shown(width)
            self.assertLessEqual(shown["width"], width, "nothing sticks out at the side")
            self.assertEqual(shown["images"], 3 + 6 + 8)  # photos, pictures, the class before and after
            self.assertEqual((shown["broken"], shown["untold"], shown["outside"]), (0, 0, []))
            self.assertEqual(shown["headings"], ["How good it is", "Photos", "Pictures", "Others of the class", "Loss",
                                                 "Score of the checkpoints", "Scores while training", "To make it again"])
            self.assertEqual(len(shown["curves"]), 4)
            self.assertGreater(min(shown["curves"]), 100)
            columns[width] = shown["columns"]
        self.assertLess(columns[400], columns[1400])

    def test_it_is_dark_where_the_reader_wants_it_dark(self):
        light, dark = self.shown(800), self.shown(800, "--blink-settings=preferredColorScheme=0")
        self.assertNotEqual(light["paper"], dark["paper"])
        for shown in (light, dark):
            ink, paper = (sum(map(int, re.findall(r"\d+", shown[part])[:3])) / 3 for part in ("ink", "paper"))
            self.assertGreater(abs(ink - paper), 150, shown)

    def test_it_is_seen(self):
        for width in (400, 1400):
            picture = self.screenshot(width)
            self.assertEqual(picture.width, width)
            self.assertGreater(len(picture.getcolors(1 << 22)), 100, "text and pictures, not an empty page")
        self.screenshot(1400, "--blink-settings=preferredColorScheme=0")

    def test_it_can_be_printed(self):
        pdf = self.folder / "page.pdf"
        chromium(f"--print-to-pdf={pdf}", "--no-pdf-header-footer", (self.folder / "index.html").as_uri())
        self.assertTrue(pdf.read_bytes().startswith(b"%PDF-"))


SCREENSHOTS = None
if __name__ == "__main__":
    if "--screenshots" in sys.argv:
        at = sys.argv.index("--screenshots")
        SCREENSHOTS = pathlib.Path(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    unittest.main()
