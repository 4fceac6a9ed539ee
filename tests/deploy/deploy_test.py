"""The Kubernetes files say what operations rely on: rendered by kubectl, held against Kubernetes' schemas, their commands run."""
import functools
import ipaddress
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

import kubernetes_validate
import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import service  # noqa: E402
from stopping import CHECKPOINT_BYTES, CHECKPOINT_SECONDS, DRAIN_SECONDS  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LIKENESS_BUILD_DIR", ROOT / "build/release"))
KUBERNETES = "1.32"  # whose schemas hold
# A build with a sanitizer has no worker: LibTorch is not built for it.
with_all_programs = unittest.skipUnless((BUILD / "bin/likeness-worker").exists(), "not all programs are built here")
# What docs/operations.md allows a server: its rest, 150 MiB for callers without a key, and requests of 33 MiB, each held three times
# while it is parsed and stored, for eight callers at once.
SERVER_MEMORY_MIB = 64 + 150 + 8 * 3 * 33
CHECKPOINTS = 4  # of a job on a worker's disk: what it goes on from; one being written, one waiting, one being uploaded


@functools.cache
def render(layout):
    """What kubectl would apply: its documents, by kind and name."""
    if not shutil.which("kubectl"):
        raise unittest.SkipTest("kubectl is not installed (scripts/setup --tests installs it)")
    return rendered(ROOT / "deploy/kubernetes" / layout)


def rendered(directory):
    text = subprocess.run(["kubectl", "kustomize", directory], check=True, capture_output=True, text=True).stdout
    return {(document["kind"], document["metadata"]["name"]): document for document in yaml.safe_load_all(text)}


def pods(layout):
    """{name of the StatefulSet or Deployment: its pod}"""
    return {name: document["spec"]["template"]["spec"] for (kind, name), document in render(layout).items()
            if kind in ("StatefulSet", "Deployment")}


def containers(layout):
    return {container["name"]: container for pod in pods(layout).values() for container in pod["containers"]}


def worker_pod(layout):
    return next(pod for pod in pods(layout).values() if "worker" in [container["name"] for container in pod["containers"]])


def worker_argument(layout, flag, default):
    values = [argument.split("=", 1)[1] for argument in containers(layout)["worker"]["args"] if argument.startswith(flag + "=")]
    return values[-1] if values else default


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

    def test_a_server_that_is_not_ready_is_neither_restarted_nor_hidden(self):
        """Its name has to be found for the heartbeats, reads and deletions that it still takes while its disk is full."""
        for layout in self.each():
            server = containers(layout)["server"]
            command = {probe: server[probe]["exec"]["command"]
                       for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
            self.assertEqual(command["readinessProbe"], ["likeness-server", "healthcheck", "--ready"])
            self.assertEqual(command["livenessProbe"], ["likeness-server", "healthcheck"])
            self.assertEqual(command["startupProbe"], ["likeness-server", "healthcheck"])
            self.assertTrue(render(layout)["Service", "likeness"]["spec"]["publishNotReadyAddresses"])

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

    def test_a_workers_cache_and_files_fit_on_its_volume(self):
        row = re.search(r"^\| `--cache-bytes` \|.*?\| `(\d+)` \| (.*) \|$", (ROOT / "docs/operations.md").read_text(), re.M)
        self.assertIn("personalized models, and as much again of class images", row[2], "else twice is not what it may hold")
        for layout in self.each():
            cache_bytes = int(worker_argument(layout, "--cache-bytes", default=row[1]))
            directory = worker_argument(layout, "--cache-dir", default=None)
            mount, = [mount["name"] for mount in containers(layout)["worker"]["volumeMounts"] if mount["mountPath"] == directory]
            volume, = [volume for volume in worker_pod(layout)["volumes"] if volume["name"] == mount]
            limit = int(volume["emptyDir"]["sizeLimit"].removesuffix("Gi")) * 2**30
            self.assertLess(2 * cache_bytes + CHECKPOINTS * CHECKPOINT_BYTES, limit, "or the pod is evicted, with its job")

    def test_a_start_does_not_go_through_all_files_of_a_volume(self):
        for layout in self.each():
            for pod in pods(layout).values():
                self.assertEqual(pod["securityContext"]["fsGroupChangePolicy"], "OnRootMismatch")

    def test_a_worker_that_is_busy_or_reads_its_models_is_not_taken_for_dead(self):
        for layout in self.each():
            worker = containers(layout)["worker"]
            for probe in ("startupProbe", "livenessProbe"):
                self.assertGreaterEqual(worker[probe]["timeoutSeconds"], 15, "LibTorch is loaded to ask")
            startup = worker["startupProbe"]
            models_bytes, slow_volume = 300e9, 100e6  # bytes, bytes per second
            self.assertGreater(startup["periodSeconds"] * startup["failureThreshold"], models_bytes / slow_volume)

    def test_every_container_is_bounded_in_memory(self):
        for layout in self.each():
            for container in containers(layout).values():
                self.assertIn("memory", container["resources"]["limits"])

    def test_without_auth_server_and_worker_share_a_pod_because_the_server_is_on_loopback(self):
        self.assertEqual({name: [container["name"] for container in pod["containers"]] for name, pod in pods("base").items()},
                         {"likeness": ["server", "worker"]})

    def test_a_server_beside_its_worker_stays_until_the_worker_has_ended(self):
        command = containers("base")["server"]["lifecycle"]["preStop"]["exec"]["command"]
        with socket.create_server(("127.0.0.1", 0)) as page:
            here = [word.replace("/9465", f"/{page.getsockname()[1]}") for word in command]
            self.assertNotEqual(here, command)
            waits = subprocess.Popen(here)
            with self.assertRaises(subprocess.TimeoutExpired):
                waits.wait(2)
        self.assertEqual(waits.wait(30), 0)
        server = containers("base")["server"]
        self.assertLessEqual(server["livenessProbe"]["terminationGracePeriodSeconds"], 60, "one that hangs waits for no worker")
        self.assertNotIn("lifecycle", containers("cluster")["server"])


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

    def egress(self, name):
        """What the pods may open connections to, but for looking names up: [(networks or pods, ports)]."""
        policy = render("cluster")["NetworkPolicy", name]["spec"]
        self.assertIn("Egress", policy["policyTypes"])
        return [(rule["to"], {port["port"] for port in rule["ports"]}) for rule in policy["egress"]
                if {port["port"] for port in rule["ports"]} != {53}]

    def test_workers_reach_the_server_and_nothing_else(self):
        self.assertEqual(self.egress("likeness-worker"), [
            ([{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "likeness"}}}], {"grpc"})])

    def test_webhooks_reach_the_public_internet_and_nothing_inside(self):
        (blocks, ports), = self.egress("likeness")
        self.assertEqual(ports, {80, 443})
        networks = [(ipaddress.ip_network(block["ipBlock"]["cidr"]),
                     [ipaddress.ip_network(network) for network in block["ipBlock"].get("except", [])]) for block in blocks]

        def reaches(text):
            address = ipaddress.ip_address(text)
            return any(address in network and not any(address in hole for hole in holes)
                       for network, holes in networks if network.version == address.version)

        for text in ("8.8.8.8", "93.184.216.34", "2606:4700::1"):
            self.assertTrue(reaches(text), text)
        for text in ("10.96.0.1", "172.20.0.1", "192.168.1.1", "100.100.1.1", "127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1",
                     "255.255.255.255", "::1", "fd00:ec2::254", "fe80::1"):
            self.assertFalse(reaches(text), text)

    def test_a_stopped_worker_has_the_time_to_upload_a_checkpoint_of_10_gb(self):
        self.assertGreater(pods("cluster")["likeness-worker"]["terminationGracePeriodSeconds"], CHECKPOINT_SECONDS)

    def test_a_rollout_is_not_given_up_while_a_worker_ends_and_the_next_begins(self):
        pod, startup = pods("cluster")["likeness-worker"], containers("cluster")["worker"]["startupProbe"]
        self.assertGreater(render("cluster")["Deployment", "likeness-worker"]["spec"]["progressDeadlineSeconds"],
                           pod["terminationGracePeriodSeconds"] + startup["periodSeconds"] * startup["failureThreshold"])

    def test_the_server_may_hold_what_callers_can_make_it_hold(self):
        limit = containers("cluster")["server"]["resources"]["limits"]["memory"]
        self.assertGreaterEqual(int(limit.removesuffix("Gi")) * 1024, SERVER_MEMORY_MIB)

    def test_workers_are_spread_chosen_for_their_gpu_and_leave_one_at_a_time(self):
        pod = pods("cluster")["likeness-worker"]
        self.assertEqual(pod["nodeSelector"], {"nvidia.com/gpu.present": "true"})
        labels = render("cluster")["Deployment", "likeness-worker"]["spec"]["template"]["metadata"]["labels"]
        self.assertEqual([spread["topologyKey"] for spread in pod["topologySpreadConstraints"]],
                         ["topology.kubernetes.io/zone", "kubernetes.io/hostname"])
        budget = render("cluster")["PodDisruptionBudget", "likeness-worker"]["spec"]
        self.assertEqual((budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]), (1, "AlwaysAllow"))
        for selector in (budget["selector"], *(spread["labelSelector"] for spread in pod["topologySpreadConstraints"])):
            self.assertEqual(selector["matchLabels"], labels)

    def test_the_queue_goes_before_the_work_and_the_work_pushes_nobody_out(self):
        classes = {name: document for (kind, name), document in render("cluster").items() if kind == "PriorityClass"}
        used = {name: classes[pod["priorityClassName"]] for name, pod in pods("cluster").items()}
        self.assertGreater(used["likeness"]["value"], used["likeness-worker"]["value"])
        self.assertEqual(used["likeness-worker"]["preemptionPolicy"], "Never")

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


class KubernetesMonitoring(unittest.TestCase):
    """The component for the Prometheus operator, added to `cluster` as the manual says."""

    @classmethod
    def setUpClass(cls):
        if not shutil.which("kubectl"):
            raise unittest.SkipTest("kubectl is not installed (scripts/setup --tests installs it)")
        with tempfile.TemporaryDirectory(prefix="likeness-overlay-") as directory:
            base = os.path.relpath(ROOT / "deploy/kubernetes", os.path.realpath(directory))
            pathlib.Path(directory, "kustomization.yaml").write_text(
                f"resources: [{base}/cluster]\ncomponents: [{base}/monitoring]\n")
            cls.documents = rendered(directory)

    def test_rules_are_the_alerts_that_are_tested(self):
        alerts = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
        self.assertEqual(self.documents["PrometheusRule", "likeness"]["spec"], alerts,
                         "deploy/kubernetes/monitoring/rules.yaml is to say what alerts.yaml says, two blanks further right")

    def test_what_serves_metrics_is_found_and_named_as_the_rules_and_the_plain_configuration_name_it(self):
        prometheus = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text())
        jobs = {scrape["job_name"] for scrape in prometheus["scrape_configs"]}
        service = self.documents["Service", "likeness"]
        monitor = self.documents["ServiceMonitor", "likeness-server"]["spec"]
        self.assertLessEqual(monitor["selector"]["matchLabels"].items(), service["metadata"]["labels"].items())
        self.assertIn(monitor["endpoints"][0]["port"], {port["name"] for port in service["spec"]["ports"]})
        worker = self.documents["Deployment", "likeness-worker"]["spec"]["template"]
        pod_monitor = self.documents["PodMonitor", "likeness-worker"]["spec"]
        self.assertEqual(pod_monitor["selector"]["matchLabels"], worker["metadata"]["labels"])
        self.assertIn(pod_monitor["podMetricsEndpoints"][0]["port"],
                      {port["name"] for port in worker["spec"]["containers"][0]["ports"]})
        endpoints = monitor["endpoints"] + pod_monitor["podMetricsEndpoints"]
        self.assertEqual({rule["replacement"] for endpoint in endpoints for rule in endpoint["relabelings"]
                          if rule["targetLabel"] == "job"}, jobs)


if __name__ == "__main__":
    unittest.main()
