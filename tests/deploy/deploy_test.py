"""The deployment files say what operations rely on: rendered by kubectl, held against Kubernetes' schemas, their commands run."""
import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import kubernetes_validate
import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import service  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LIKENESS_BUILD_DIR", ROOT / "build/release"))
KUBERNETES = "1.32"  # whose schemas hold
# A build with a sanitizer has no worker: LibTorch is not built for it.
with_all_programs = unittest.skipUnless((BUILD / "bin/likeness-worker").exists(), "not all programs are built here")
DRAIN_SECONDS = 30  # what a server or a worker takes at most to drain, see docs/operations.md


@functools.cache
def render(layout):
    """What kubectl would apply: its documents, by kind and name."""
    if not shutil.which("kubectl"):
        raise unittest.SkipTest("kubectl is not installed (scripts/setup --tests installs it)")
    text = subprocess.run(["kubectl", "kustomize", ROOT / "deploy/kubernetes" / layout], check=True,
                          capture_output=True, text=True).stdout
    return {(document["kind"], document["metadata"]["name"]): document for document in yaml.safe_load_all(text)}


def pods(layout):
    """{name of the StatefulSet or Deployment: its pod}"""
    return {name: document["spec"]["template"]["spec"] for (kind, name), document in render(layout).items()
            if kind in ("StatefulSet", "Deployment")}


def containers(layout):
    return {container["name"]: container for pod in pods(layout).values() for container in pod["containers"]}


class Kubernetes(unittest.TestCase):
    """What holds of every layout."""

    def each(self):
        for layout in ("base", "cluster"):
            with self.subTest(layout):
                yield layout

    def test_documents_are_what_kubernetes_expects(self):
        for layout in self.each():
            for document in render(layout).values():
                kubernetes_validate.validate(document, KUBERNETES, strict=True)

    def test_graceful_stop_is_longer_than_a_drain(self):
        for layout in self.each():
            for pod in pods(layout).values():
                self.assertGreater(pod["terminationGracePeriodSeconds"], DRAIN_SECONDS)

    def test_the_queue_lives_on_a_claimed_volume(self):
        for layout in self.each():
            claims = render(layout)["StatefulSet", "likeness"]["spec"]["volumeClaimTemplates"]
            mounts = [mount["name"] for mount in containers(layout)["server"]["volumeMounts"]]
            self.assertIn(claims[0]["metadata"]["name"], mounts)

    def test_a_server_that_is_not_ready_gets_no_calls_and_is_not_restarted(self):
        for layout in self.each():
            server = containers(layout)["server"]
            command = {probe: server[probe]["exec"]["command"]
                       for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
            self.assertEqual(command["readinessProbe"], ["likeness-server", "healthcheck", "--ready"])
            self.assertEqual(command["livenessProbe"], ["likeness-server", "healthcheck"])
            self.assertEqual(command["startupProbe"], ["likeness-server", "healthcheck"])

    def test_the_worker_is_probed_by_its_health_check_and_never_gates_the_server(self):
        for layout in self.each():
            worker = containers(layout)["worker"]
            for probe in ("startupProbe", "livenessProbe"):
                self.assertEqual(worker[probe]["exec"]["command"], ["likeness-worker", "healthcheck"])
            self.assertNotIn("readinessProbe", worker)

    def test_nothing_runs_as_root_or_may_write_to_its_image(self):
        for layout in self.each():
            for pod in pods(layout).values():
                self.assertTrue(pod["securityContext"]["runAsNonRoot"])
                self.assertFalse(pod["automountServiceAccountToken"])
                for container in pod["containers"]:
                    self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])
                    self.assertFalse(container["securityContext"]["allowPrivilegeEscalation"])

    def test_every_container_is_bounded_in_memory(self):
        for layout in self.each():
            for container in containers(layout).values():
                self.assertIn("memory", container["resources"]["limits"])

    def test_without_auth_server_and_worker_share_a_pod_because_the_server_is_on_loopback(self):
        self.assertEqual({name: [container["name"] for container in pod["containers"]] for name, pod in pods("base").items()},
                         {"likeness": ["server", "worker"]})


class KubernetesCluster(unittest.TestCase):
    def test_workers_have_a_pod_and_a_gpu_of_their_own(self):
        self.assertEqual({name: [container["name"] for container in pod["containers"]] for name, pod in pods("cluster").items()},
                         {"likeness": ["server"], "likeness-worker": ["worker"]})
        self.assertEqual(containers("cluster")["worker"]["resources"]["limits"]["nvidia.com/gpu"], 1)

    def test_secrets_are_for_the_group_alone(self):
        secrets = [volume["secret"] for volume in pods("cluster")["likeness"]["volumes"] if "secret" in volume]
        self.assertEqual([(secret["secretName"], secret["defaultMode"]) for secret in secrets],
                         [("likeness-auth", 0o440), ("likeness-tls", 0o440)])

    def test_the_pages_without_authentication_are_for_monitoring_alone(self):
        for name in ("likeness", "likeness-worker"):
            rules = render("cluster")["NetworkPolicy", name]["spec"]["ingress"]
            self.assertTrue(all(rule.get("from") for rule in rules), "a rule without `from` lets everybody in")
            allowed = [rule for rule in rules if {"port": "metrics"} in rule["ports"]]
            self.assertEqual([rule["from"] for rule in allowed], [
                [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]])

    @with_all_programs
    def test_programs_run_as_the_manifests_say(self):
        """The containers' commands as processes, with what the manual says to put into the secrets; a worker's offer arrives."""
        temporary = tempfile.TemporaryDirectory(prefix="likeness-deploy-")
        self.addCleanup(temporary.cleanup)
        directory = pathlib.Path(temporary.name)
        given = {name: directory / name for name in ("likeness-auth", "likeness-tls", "likeness-ca", "likeness-models")}
        for path in given.values():
            path.mkdir()
        auth = given["likeness-auth"] / "auth.json"
        client_key = service.new_key(auth, "--tenant=acme", "--role=submit", "--role=read")
        worker_key = service.new_key(auth, "--role=worker")
        service.new_certificate(given["likeness-tls"] / "tls.crt", given["likeness-tls"] / "tls.key", "DNS:localhost")
        shutil.copy(given["likeness-tls"] / "tls.crt", given["likeness-ca"] / "ca.crt")
        subprocess.run([BUILD / "bin/likeness-tiny-model", given["likeness-models"] / "tiny"], check=True)
        ports = dict(zip(("50051", "9464", "9465"), map(str, service.free_ports(3))))

        def start(pod_name, variables):
            pod = pods("cluster")[pod_name]
            container, = pod["containers"]
            volumes = {volume["name"]: volume for volume in pod["volumes"]}
            folders = {}  # by where the container sees it
            for mount in container["volumeMounts"]:
                volume = volumes.get(mount["name"], {})
                source = (volume.get("secret", {}).get("secretName") or volume.get("configMap", {}).get("name")
                          or volume.get("persistentVolumeClaim", {}).get("claimName"))
                folders[mount["mountPath"]] = str(given[source] if source else directory / mount["name"])

            def here(argument):
                argument = argument.replace("=likeness:", "=localhost:")
                for port, free in ports.items():
                    argument = argument.replace(f":{port}", f":{free}")
                return re.sub(r"(?<==)/[\w/]+", lambda seen: next(
                    (folder + seen[0][len(path):] for path, folder in folders.items() if (seen[0] + "/").startswith(path + "/")),
                    "/nothing/is/mounted/there"), argument)

            program = BUILD / "bin" / container["image"].split(":")[0]
            process = service.Process(pod_name, directory, ["env", *variables, program, *map(here, container["args"])])
            self.addCleanup(process.close)
            return process

        server = start("likeness", [])
        server.wait_for_log('"message":"serving"')
        environment = dict(os.environ, LIKENESS_METRICS_LISTEN=f"127.0.0.1:{ports['9464']}",
                           LIKENESS_WORKER_METRICS_ADDRESS=f"127.0.0.1:{ports['9465']}",
                           LIKENESS_SERVER=f"localhost:{ports['50051']}", LIKENESS_TOKEN=client_key,
                           LIKENESS_TLS_CA=str(given["likeness-ca"] / "ca.crt"))
        start("likeness-worker", [f"LIKENESS_TOKEN={worker_key}"])

        def run(program, *arguments):
            return subprocess.run([BUILD / "bin" / program, *arguments], env=environment, capture_output=True, text=True)

        service.wait_until(lambda: "tiny" in run("likeness", "models").stdout, what="an offered model")
        for container in containers("cluster").values():
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if probe in container:
                    checked = run(*container[probe]["exec"]["command"])
                    self.assertEqual(checked.returncode, 0, checked.stderr)


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

    @with_all_programs
    def test_every_image_has_the_libraries_of_its_programs(self):
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
