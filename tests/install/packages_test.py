"""The Debian packages on a machine with nothing on it: installed by apt, the services as their units start them, the main job.

Needs root and debootstrap; bare_root.py says what can be set. Prints sizes and seconds.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import bare_root

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LIKENESS_BUILD_DIR", ROOT / "build/release"))


def start_line(root, service):
    """What systemd would run, as the service's user with its environment, in the background."""
    unit = (root / f"usr/lib/systemd/system/likeness-{service}.service").read_text()
    values = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("Environment"))
    variables = re.findall(r"^Environment=(.*)$", unit, re.M)
    state = "/var/lib/likeness" if "StateDirectory" in values else "/var/cache/likeness-worker"
    return (f"mkdir -p {state} && chown {values['User']} {state} && "
            f"runuser -u {values['User']} -- env {' '.join(variables)} {values['ExecStart']} >/tmp/{service}.log 2>&1 & ")


class Packages(unittest.TestCase):
    def setUp(self):
        self.root = bare_root.BareRoot()
        self.addCleanup(self.root.close)
        self.began = time.monotonic()

    def tell(self, what):
        print(f"{time.monotonic() - self.began:8.1f} s  {what}", file=sys.stderr, flush=True)
        self.began = time.monotonic()

    def test_main_job_through_the_packages(self):
        work = pathlib.Path(tempfile.mkdtemp(prefix="likeness-packages-"))
        self.addCleanup(shutil.rmtree, work)
        subprocess.run(["cpack", "--config", BUILD / "CPackConfig.cmake", "-B", work], check=True, capture_output=True)
        packages = sorted(work.glob("*.deb"))
        self.assertEqual({package.name.split("_")[0] for package in packages}, {"likeness", "likeness-server", "likeness-worker"})
        self.tell("packages made: " + ", ".join(f"{p.name} {p.stat().st_size / 1e6:.1f} MB" for p in packages))
        for package in packages:
            shutil.copy(package, self.root.path / "tmp")
        shutil.copytree(ROOT / "client/examples/subjects/rex", self.root.path / "tmp/rex")
        self.root.run("apt-get update -qq")
        self.tell("apt-get update")
        self.root.run("DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends /tmp/*.deb")
        self.tell("installed: " + self.root.run("dpkg-query -W -f='${Package} ${Installed-Size} kB, ' 'likeness*'"))
        for program in ("likeness", "likeness-server", "likeness-worker"):
            self.root.run(f"{program} --version; test -s /usr/share/man/man1/{program}.1")
        made = self.root.run(start_line(self.root.path, "server") + start_line(self.root.path, "worker") + """
            cd /tmp && likeness wait --for ready --timeout 60s || { cat /tmp/*.log; exit 1; }
            likeness train --class dog --photos rex --name rex --prompt "a {subject} in the snow" --images-per-prompt 4 --seed 7 &&
            likeness generate "a {subject} on the beach" --model rex --out beach""", timeout=1800)
        self.tell("the main job: four photos, 200 steps, five pictures")
        self.assertIn("beach/", made)
        self.assertEqual(len(list((self.root.path / "tmp/rex").glob("samples/*.png"))), 4, made)
        self.root.run("apt-get remove -y -qq likeness likeness-server likeness-worker")
        left = self.root.run("ls -d /usr/bin/likeness* /usr/lib/likeness /usr/share/likeness 2>/dev/null || true")
        self.assertEqual(left, "")
        self.assertTrue((self.root.path / "var/lib/likeness").exists(), "the data stay")


if __name__ == "__main__":
    unittest.main()
