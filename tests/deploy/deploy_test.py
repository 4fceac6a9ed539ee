"""The deployment files say what operations rely on: rendered by kubectl, parsed as an engine would parse them."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LIKENESS_BUILD_DIR", ROOT / "build/release"))
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

    def test_a_front_that_is_not_ready_gets_no_calls_and_is_not_restarted(self):
        command = {probe: self.containers["server"][probe]["exec"]["command"]
                   for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
        self.assertEqual(command["readinessProbe"], ["likeness-server", "healthcheck", "--ready"])
        self.assertEqual(command["livenessProbe"], ["likeness-server", "healthcheck"])
        self.assertEqual(command["startupProbe"], ["likeness-server", "healthcheck"])

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


def installed_dependencies():
    """Of each installed package, what it depends on."""
    listed = subprocess.run(["dpkg-query", "-W", "-f", "${Package}\t${Depends}, ${Pre-Depends}\n"], check=True,
                            capture_output=True, text=True).stdout
    return {package: set(re.findall(r"(?:^|[,|]) *([a-z0-9][a-z0-9.+-]*)", depends))
            for package, depends in (line.split("\t") for line in listed.splitlines())}


def libraries_of(program):
    """The system's libraries that the program itself asks for, by the packages that bring them."""
    asked = re.findall(r"NEEDED +(\S+)", subprocess.run(["objdump", "-p", program], check=True, capture_output=True, text=True).stdout)
    found = dict(re.findall(r"(\S+) => (/\S+)", subprocess.run(["ldd", program], capture_output=True, text=True).stdout))
    packages = {}
    for library in asked:
        path = str(pathlib.Path(found.get(library, "/")).resolve())
        if path.startswith(("/usr/lib/", "/lib/")):
            owner = subprocess.run(["dpkg", "-S", path, path.removeprefix("/usr")], capture_output=True, text=True).stdout
            packages[library] = owner.split(":")[0]
    return packages


class Dockerfile(unittest.TestCase):
    STAGES = {re.search(r" AS (\w+)\n", stage).group(1): stage
              for stage in (ROOT / "Dockerfile").read_text().split("\nFROM ")[1:]}

    def test_every_image_runs_as_a_user(self):
        for name in ("server", "worker", "client"):
            self.assertIn("\nUSER 10001\n", self.STAGES[name])

    def test_every_image_has_the_libraries_of_its_programs(self):
        if not (BUILD / "bin/likeness-worker").exists():
            self.skipTest("not all programs are built here")
        depends = installed_dependencies()
        for name, stage in self.STAGES.items():
            programs = re.findall(r"/opt/likeness/bin/(likeness[a-z-]*)", stage.split("ENTRYPOINT")[0])
            if not programs:
                continue
            command = re.search(r"apt-get install -y --no-install-recommends (.*?)&&", stage, re.S).group(1)
            there, new = set(), set(command.replace("\\", " ").split())
            while new:
                there |= new
                new = {needed for package in new for needed in depends.get(package, ())} - there
            for program in set(programs):
                libraries = libraries_of(BUILD / "bin" / program)
                self.assertGreater(len(libraries), 5, program)
                missing = {library: package for library, package in libraries.items() if package not in there}
                self.assertFalse(missing, f"the image {name} cannot run {program}")


if __name__ == "__main__":
    unittest.main()
