"""The compose file: who reaches the server, and that this outlives a restart of any container."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import service  # noqa: E402
from service import BIN, ROOT, Process, free_ports, wait_until  # noqa: E402
from stopping import DRAIN_SECONDS  # noqa: E402

FILE = ROOT / "deploy/compose/compose.yaml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES = COMPOSE["services"]


def mounts(name):
    """{where the container sees it: volume or folder}"""
    volumes = [re.sub(r"\$\{\w+:-(.*?)\}", r"\1", volume).split(":") for volume in SERVICES[name]["volumes"]]
    return {volume[1]: volume[0] for volume in volumes}


def seconds(text):
    return int(text[:-1]) * {"s": 1, "m": 60}[text[-1]]


class Compose(unittest.TestCase):
    def test_targets_exist_in_the_dockerfile(self):
        dockerfile = (ROOT / "Dockerfile").read_text()
        for described in SERVICES.values():
            self.assertIn(f" AS {described['build']['target']}\n", dockerfile)

    def test_nothing_is_reached_from_outside_without_auth(self):
        for described in SERVICES.values():
            self.assertNotIn("ports", described)
        self.assertRegex(SERVICES["server"]["environment"]["LIKENESS_LISTEN"], "^unix:/")

    def test_no_container_depends_on_the_network_of_another(self):
        for described in SERVICES.values():
            self.assertNotRegex(described.get("network_mode", ""), "^(service|container):", "it is gone with the other's first restart")

    def test_all_meet_at_a_socket_on_one_volume_that_their_user_may_write(self):
        address = SERVICES["server"]["environment"]["LIKENESS_LISTEN"]
        folder = os.path.dirname(address.removeprefix("unix:"))
        for name in ("worker", "client"):
            self.assertEqual(SERVICES[name]["environment"]["LIKENESS_SERVER"], address)
        self.assertEqual({mounts(name).get(folder) for name in SERVICES}, {"socket"})
        self.assertIn("socket", COMPOSE["volumes"])
        self.assertRegex((ROOT / "Dockerfile").read_text(), rf"install -d -o likeness .*{folder}\n")

    def test_what_is_mounted_by_default_has_photos(self):
        self.assertTrue(list((FILE.parent / mounts("client")["/photos"]).glob("*.png")), "train takes the files of one folder")

    def test_the_worker_is_stopped_before_the_server_and_has_time(self):
        self.assertIn("server", SERVICES["worker"]["depends_on"])
        for name in ("server", "worker"):
            self.assertGreater(seconds(SERVICES[name]["stop_grace_period"]), DRAIN_SECONDS)

    @unittest.skipUnless((BIN / "likeness-worker").exists(), "not all programs are built here")
    def test_jobs_are_done_after_the_server_was_killed_and_restarted(self):
        """The services' environments as processes, with folders for volumes."""
        temporary = tempfile.TemporaryDirectory(prefix="likeness-compose-")
        self.addCleanup(temporary.cleanup)
        directory = pathlib.Path(temporary.name)
        page, worker_page = free_ports(2)

        def environment(name):
            folders = {where: directory / volume for where, volume in mounts(name).items() if volume in COMPOSE["volumes"]}
            for folder in folders.values():
                folder.mkdir(exist_ok=True)

            def here(value):
                for where, folder in folders.items():
                    value = value.replace(where + "/", f"{folder}/")
                return value

            return {variable: here(value) for variable, value in SERVICES[name]["environment"].items()}

        def start(name, *arguments):
            variables = [f"{variable}={value}" for variable, value in environment(name).items()]
            process = Process(name, directory, ["env", *variables, BIN / f"likeness-{name}", *arguments])
            self.addCleanup(process.close)
            return process

        def start_server():
            server = start("server", f"--data-dir={directory / 'data'}", f"--metrics-listen=127.0.0.1:{page}")
            client = dict(os.environ, **environment("client"))

            def run(*arguments):
                return subprocess.run([BIN / "likeness", *arguments], env=client, capture_output=True, text=True, cwd=directory)

            wait_until(lambda: run("models").returncode == 0, what="a server that answers")
            return server, run

        server, _ = start_server()
        start("worker", "serve", "--rehearse", f"--cache-dir={directory / 'cache'}", f"--metrics-address=127.0.0.1:{worker_page}")
        server.kill()
        _, run = start_server()
        wait_until(lambda: "mini" in run("models").stdout, seconds=120, what="an offered model")
        drawn = run("generate", "a dog", "--out=pictures")
        self.assertEqual(drawn.returncode, 0, drawn.stderr)


if __name__ == "__main__":
    unittest.main()
