"""The deployment files say what operations rely on: rendered by kubectl, parsed as an engine would parse them."""
import pathlib
import shutil
import subprocess
import tempfile
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


class Dockerfile(unittest.TestCase):
    def test_every_image_runs_as_a_user(self):
        stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")[1:]
        for stage in stages:
            if " AS server\n" in stage or " AS worker\n" in stage or " AS client\n" in stage:
                self.assertIn("\nUSER 10001\n", stage)


if __name__ == "__main__":
    unittest.main()
