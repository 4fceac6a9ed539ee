"""The same work behind TLS and API keys: a server, a worker and the command line that know each other by their keys alone."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import service
from service import BIN, Process


class Secured(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory(prefix="likeness-e2e-")
        cls.addClassCleanup(temporary.cleanup)
        cls.directory = pathlib.Path(temporary.name)
        service.new_certificate(cls.directory / "cert.pem", cls.directory / "key.pem", "IP:127.0.0.1")
        subprocess.run([BIN / "likeness-tiny-model", cls.directory / "models/tiny"], check=True)
        auth = cls.directory / "auth.json"
        cls.acme = service.new_key(auth, "--tenant=acme", "--role=submit", "--role=read")
        cls.other = service.new_key(auth, "--tenant=other", "--role=submit", "--role=read")
        worker_key = service.new_key(auth, "--role=worker")
        port, = service.free_ports(1)
        cls.address = f"127.0.0.1:{port}"
        cls.server = server = Process("server", cls.directory, [
            "bash", "-c", 'ulimit -Sn 512 && exec "$@"', "bash", BIN / "likeness-server", f"--listen={cls.address}", "--metrics-listen=", f"--data-dir={cls.directory / 'data'}",
            f"--auth-file={auth}", f"--tls-cert={cls.directory / 'cert.pem'}",
            f"--tls-key={cls.directory / 'key.pem'}"])
        cls.addClassCleanup(server.close)
        server.wait_for_log("serving")
        worker = Process("worker", cls.directory, [
            BIN / "likeness-worker", "serve", f"--server={cls.address}", f"--models={cls.directory / 'models'}",
            f"--token={worker_key}", f"--tls-ca={cls.directory / 'cert.pem'}", f"--cache-dir={cls.directory / 'cache'}",
            "--threads=1", "--device=cpu", "--metrics-address="])
        cls.addClassCleanup(worker.close)
        worker.wait_for_log("worker started")
        service.wait_until(lambda: "tiny" in cls.run_client(cls.acme, "models").stdout, what="an offered model")
        cls.photos = cls.directory / "photos"
        service.draw_photos(cls.photos)

    @classmethod
    def run_client(cls, key, *arguments):
        environment = dict(os.environ, LIKENESS_SERVER=cls.address, LIKENESS_TLS_CA=str(cls.directory / "cert.pem"))
        environment.pop("LIKENESS_TOKEN", None)
        if key:
            environment["LIKENESS_TOKEN"] = key
        return subprocess.run([str(part) for part in (BIN / "likeness", *arguments)], capture_output=True, text=True,
                              env=environment, timeout=120)

    def test_job_is_trained_and_stays_its_tenants_own(self):
        out = self.directory / "made"
        trained = self.run_client(self.acme, "train", "--class=dog", "--photos", self.photos, "--rare-token=zwx", "--steps=3",
                                  "--class-images=2", "--prompt=a {subject}", "--name=rex", "--out", out, "--json")
        self.assertEqual(trained.returncode, 0, trained.stderr)
        job = json.loads(trained.stdout)
        self.assertEqual(job["name"], "tenants/acme/jobs/rex")
        self.assertEqual(job["resolved"]["fineTune"]["subjects"][0]["token"], "zwx")
        self.assertTrue(list((out / "samples").glob("*.png")))
        self.assertIn("rex", self.run_client(self.acme, "list").stdout)
        self.assertNotIn("rex", self.run_client(self.other, "list").stdout)
        self.assertIn("JOB_NOT_FOUND", self.run_client(self.other, "get", "tenants/acme/jobs/rex", "--json").stderr)

    def test_the_server_uses_as_many_open_files_as_it_may(self):
        limits = pathlib.Path(f"/proc/{self.server.pid}/limits").read_text()
        soft, hard = next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[3:5]
        self.assertEqual(soft, hard)

    def test_nobody_is_let_in_without_a_key(self):
        self.assertIn("TOKEN_MISSING", self.run_client("", "list", "--json").stderr)
        self.assertIn("TOKEN_INVALID", self.run_client(self.acme[:-1] + "x", "list", "--json").stderr)


if __name__ == "__main__":
    unittest.main()
