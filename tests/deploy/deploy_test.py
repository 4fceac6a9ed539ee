"""The deployment files say what operations rely on: rendered by kubectl, parsed as an engine would parse them."""
import fcntl
import os
import pathlib
import secrets
import shutil
import sqlite3
import subprocess
import tempfile
import time
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRAIN_SECONDS = 30  # what a server or a worker takes at most to drain, see docs/operations.md


def render():
    if not shutil.which("kubectl"):
        raise unittest.SkipTest("kubectl is not installed (scripts/setup --tests installs it)")
    text = subprocess.run(["kubectl", "kustomize", ROOT / "deploy/kubernetes/base"], check=True,
                          capture_output=True, text=True).stdout
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


class KubernetesBase(unittest.TestCase):
    def setUp(self):
        self.pod = render()["StatefulSet"]["spec"]["template"]["spec"]
        self.containers = {container["name"]: container for container in self.pod["containers"]}

    def test_front_and_worker_share_a_pod_because_the_server_is_on_loopback(self):
        self.assertEqual(set(self.containers), {"server", "worker"})

    def test_graceful_stop_is_longer_than_a_drain(self):
        self.assertGreater(self.pod["terminationGracePeriodSeconds"], DRAIN_SECONDS)

    def test_the_queue_lives_on_a_claimed_volume(self):
        claims = render()["StatefulSet"]["spec"]["volumeClaimTemplates"]
        mounts = [mount["name"] for mount in self.containers["server"]["volumeMounts"]]
        self.assertIn(claims[0]["metadata"]["name"], mounts)

    def test_the_front_is_probed_by_an_api_call(self):
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            self.assertEqual(self.containers["server"][probe]["exec"]["command"], ["likeness", "models"])

    def test_the_worker_is_probed_by_its_health_check_and_never_gates_the_front(self):
        for probe in ("startupProbe", "livenessProbe"):
            self.assertEqual(self.containers["worker"][probe]["exec"]["command"], ["likeness-worker", "healthcheck"])
        self.assertNotIn("readinessProbe", self.containers["worker"])

    def test_nothing_runs_as_root_or_may_write_to_its_image(self):
        self.assertTrue(self.pod["securityContext"]["runAsNonRoot"])
        for container in self.containers.values():
            self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])
            self.assertFalse(container["securityContext"]["allowPrivilegeEscalation"])

    def test_every_container_is_bounded_in_memory(self):
        for container in self.containers.values():
            self.assertIn("memory", container["resources"]["limits"])


class Compose(unittest.TestCase):
    def test_targets_exist_in_the_dockerfile(self):
        compose = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text())
        dockerfile = (ROOT / "Dockerfile").read_text()
        for service in compose["services"].values():
            self.assertIn(f" AS {service['build']['target']}\n", dockerfile)

    def test_no_port_is_published_without_auth(self):
        compose = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text())
        for service in compose["services"].values():
            self.assertNotIn("ports", service)


class PruneBlobs(unittest.TestCase):
    """deploy/prune-blobs on a data directory as the server keeps it."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="likeness-prune-")
        self.addCleanup(directory.cleanup)
        self.data = pathlib.Path(directory.name)
        (self.data / "lock").touch()
        self.database = sqlite3.connect(self.data / "jobs.sqlite")
        self.addCleanup(self.database.close)
        self.database.executescript("CREATE TABLE jobs (state, job, checkpoint); CREATE TABLE events (event);"
                                    "CREATE TABLE models (model); PRAGMA user_version = 2")

    def blob(self, age_days=2):
        digest = secrets.token_hex(32)
        file = self.data / "blobs/default" / digest[:2] / digest
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"12345")
        os.utime(file, (time.time() - age_days * 86400,) * 2)
        return file

    @staticmethod
    def message(file):
        return b"\x0a\x20\x00" + f"tenants/default/blobs/{file.name}".encode() + b"\x12"

    def job(self, state, picture, checkpoint):
        with self.database:
            self.database.execute("INSERT INTO jobs VALUES (?, ?, ?)",
                                  (state, self.message(picture), self.message(checkpoint)))

    def run_it(self, *flags):
        return subprocess.run([ROOT / "deploy/prune-blobs", self.data, *flags], capture_output=True, text=True)

    def test_keeps_what_jobs_need_and_the_checkpoints_of_those_that_run(self):
        running, ended = 2, 4
        kept = [self.blob(), self.blob(), self.blob(), self.blob(age_days=0)]
        gone = [self.blob(), self.blob()]
        self.job(running, kept[0], checkpoint=kept[1])
        self.job(ended, kept[2], checkpoint=gone[0])
        self.assertIn("2 blobs", self.run_it().stdout)
        self.assertTrue(all(file.exists() for file in kept + gone))
        self.assertEqual(self.run_it("--delete").returncode, 0)
        self.assertTrue(all(file.exists() for file in kept))
        self.assertFalse(any(file.exists() for file in gone))

    def test_keeps_the_files_of_models_whose_job_is_gone(self):
        file, checkpoint = self.blob(), self.blob()
        with self.database:
            self.database.execute("INSERT INTO models VALUES (?), (NULL)", (self.message(file),))
        self.assertEqual(self.run_it("--delete").returncode, 0)
        self.assertTrue(file.exists())
        self.assertFalse(checkpoint.exists())

    def test_leaves_a_store_of_another_version_alone(self):
        self.database.execute("PRAGMA user_version = 1")
        blob = self.blob()
        self.assertEqual(self.run_it("--delete").returncode, 1)
        self.assertTrue(blob.exists())

    def test_leaves_a_running_server_alone(self):
        with open(self.data / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            refused = self.run_it("--delete")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("stop it first", refused.stderr)


class Dockerfile(unittest.TestCase):
    def test_every_image_runs_as_a_user(self):
        stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")[1:]
        for stage in stages:
            if " AS server\n" in stage or " AS worker\n" in stage or " AS client\n" in stage:
                self.assertIn("\nUSER 10001\n", stage)


if __name__ == "__main__":
    unittest.main()
