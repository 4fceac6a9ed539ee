"""The systemd units: that services come back whatever made them end, and have the time and the files that they need."""
import configparser
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from stopping import CHECKPOINT_SECONDS, DRAIN_SECONDS

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATES = {path.name.removesuffix(".service.in"): path for path in (ROOT / "deploy/systemd").glob("*.service.in")}


def unit(name):
    parser = configparser.RawConfigParser(strict=False, delimiters="=")
    parser.optionxform = str
    parser.read(TEMPLATES[name])
    return parser


class Units(unittest.TestCase):
    def test_there_is_one_for_each_program_that_serves(self):
        self.assertEqual(set(TEMPLATES), {"likeness-server", "likeness-worker"})

    def test_a_service_that_cannot_start_is_tried_until_it_can(self):
        """By default systemd gives up after five starts within ten seconds."""
        for name in TEMPLATES:
            with self.subTest(name):
                self.assertEqual(unit(name)["Unit"]["StartLimitIntervalSec"], "0")
                self.assertEqual(unit(name)["Service"]["Restart"], "on-failure")
                self.assertGreaterEqual(int(unit(name)["Service"]["RestartSec"]), 1, "nor does it fill the log meanwhile")

    def test_a_stop_has_the_time_for_a_drain_and_for_a_checkpoint_of_10_gb(self):
        self.assertGreater(int(unit("likeness-server")["Service"]["TimeoutStopSec"]), DRAIN_SECONDS)
        self.assertGreater(int(unit("likeness-worker")["Service"]["TimeoutStopSec"]), CHECKPOINT_SECONDS)

    def test_the_worker_is_stopped_before_the_server_that_takes_its_checkpoint(self):
        self.assertIn("likeness-server.service", unit("likeness-worker")["Unit"]["After"].split())

    def test_the_server_has_the_files_for_all_connections_that_it_admits(self):
        limits = (ROOT / "server/base/visitors.h").read_text()
        connections = int(re.search(r"size_t connections = ([\d']+);", limits)[1].replace("'", ""))
        self.assertGreater(int(unit("likeness-server")["Service"]["LimitNOFILE"]), 4 * connections,
                           "each takes two, and there are as many for callers with a key and for files")

    def test_the_server_may_write_an_audit_log_beside_its_data(self):
        service = unit("likeness-server")["Service"]
        self.assertEqual((service["ProtectSystem"], service["LogsDirectory"]), ("strict", "likeness"))

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd is not installed")
    def test_systemd_knows_every_setting(self):
        with tempfile.TemporaryDirectory(prefix="likeness-units-") as folder:
            for name, template in TEMPLATES.items():
                text = re.sub(r"@CMAKE_INSTALL_PREFIX@/bin/\S+", "/bin/true", template.read_text())
                written = pathlib.Path(folder, f"{name}.service")
                written.write_text(re.sub(r"(?m)^User=.*\n", "", text))  # the user is not here
                checked = subprocess.run(["systemd-analyze", "verify", "--man=no", written], capture_output=True, text=True)
                self.assertEqual([line for line in checked.stderr.splitlines() if str(written) in line], [])


if __name__ == "__main__":
    unittest.main()
