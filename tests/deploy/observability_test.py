"""deploy/prometheus and deploy/grafana against a real Prometheus that scrapes a real server.

Every metric that a dashboard panel or an alert names is in the scrape, and Prometheus evaluates every expression. The look of the
dashboard is not tested: there is no Grafana here.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.parse
import urllib.request

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import service  # noqa: E402
from service import BIN, ROOT, Process, free_ports, wait_until  # noqa: E402
from likeness.v1 import job_service_pb2, job_service_pb2_grpc, worker_service_pb2, worker_service_pb2_grpc  # noqa: E402
import grpc  # noqa: E402

DEPLOY = ROOT / "deploy"
WORD = re.compile(r"\b(?:likeness|process)_\w+")


def dashboard():
    return json.loads((DEPLOY / "grafana/likeness.json").read_text())


def panels():
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def alerts():
    return yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())["groups"][0]["rules"]


def expressions():
    """[(where, expression)] of all panels and alerts, Grafana's variables filled in."""
    found = [(panel["title"], target["expr"].replace("$__rate_interval", "1m")) for panel in panels()
             for target in panel["targets"]]
    found += [(rule["alert"], rule["expr"]) for rule in alerts()]
    return found


class Stack:
    """A server whose metrics all have values, and a Prometheus that scrapes it with the rules and job names of deploy/."""

    def __init__(self, directory):
        (directory / "secrets").write_text("* whsec_" + "QUFB" * 10 + "\n")
        self.server = Process("server", directory, [
            BIN / "likeness-server", "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0",
            f"--data-dir={directory / 'data'}", f"--webhook-secrets={directory / 'secrets'}"])
        self.server.wait_for_log("data_dir=")  # the end of the line that names the ports
        port, metrics_port = re.search(r" serving .* port=(\d+) metrics_port=(\d+) ", self.server.log_text()).groups()
        self._work(port)
        config = (DEPLOY / "prometheus/prometheus.yaml").read_text()
        config = config.replace("127.0.0.1:9464", f"127.0.0.1:{metrics_port}").replace("15s", "1s")
        config = config.replace("127.0.0.1:9465", f"127.0.0.1:{metrics_port}")  # there may be no worker's page
        (directory / "prometheus.yaml").write_text(config)
        shutil.copy(DEPLOY / "prometheus/alerts.yaml", directory)
        prometheus_port, = free_ports(1)
        self.url = f"http://127.0.0.1:{prometheus_port}/api/v1/"
        self.prometheus = Process("prometheus", directory, [
            "prometheus", f"--config.file={directory / 'prometheus.yaml'}", f"--storage.tsdb.path={directory / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{prometheus_port}"])
        self.prometheus.wait_for_log("Server is ready to receive web requests")
        wait_until(lambda: len(self.query("up == 1")) == 2, what="a scrape of each job")

    @staticmethod
    def _work(port):
        """One job, done by a worker that only says so."""
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        workers, jobs = worker_service_pb2_grpc.WorkerServiceStub(channel), job_service_pb2_grpc.JobServiceStub(channel)
        offer = worker_service_pb2.AcquireLeaseRequest(worker="scripted", device="cpu", methods=["generate"], samplers=["ddim"])
        offer.base_models.add(name="baseModels/mini", digest="a" * 64, image_size=64, default_token="sks")
        workers.AcquireLease(offer)
        request = job_service_pb2.CreateJobRequest()
        request.job.generate.prompts.append("a dog")
        job = jobs.CreateJob(request)
        lease = workers.AcquireLease(offer).lease
        workers.CompleteLease(worker_service_pb2.CompleteLeaseRequest(lease_token=lease.lease_token))
        assert jobs.GetJob(job_service_pb2.GetJobRequest(name=job.name)).state == service.State.JOB_STATE_SUCCEEDED

    def get(self, path, **parameters):
        with urllib.request.urlopen(self.url + path + "?" + urllib.parse.urlencode(parameters)) as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        return self.get("query", query=expression)["result"]

    def close(self):
        self.prometheus.close()
        self.server.close()


@unittest.skipUnless(shutil.which("prometheus"), "Prometheus is not installed (scripts/setup --tests)")
class WithPrometheus(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="likeness-observe-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.stack = Stack(pathlib.Path(cls.folder.name))
        cls.addClassCleanup(cls.stack.close)

    def test_every_metric_that_is_named_is_there(self):
        scraped = set(self.stack.get("label/__name__/values"))
        # A worker's metrics, whose names operations_test.py holds against a real worker.
        operations = (ROOT / "docs/operations.md").read_text()
        scraped |= {name for name in re.findall(r"^\| `(\w+)(?:\{[\w,]+\})?` \|", operations, re.M)
                    if name.startswith(("likeness_worker_", "process_"))}
        for where, expression in expressions():
            names = set(WORD.findall(expression))
            self.assertTrue(names or "up{" in expression, where)
            self.assertEqual(names - scraped, set(), f"{where}: {expression}")

    def test_every_label_that_is_named_is_there(self):
        for where, expression in expressions():
            for name, matchers in re.findall(r"\b(likeness_\w+)\{(.*?)\}", expression):
                if name.startswith("likeness_worker_"):
                    continue
                labels = set(re.findall(r"(\w+)(?:=|!=|=~|!~)\"", matchers))
                series = self.stack.get("series", **{"match[]": name})
                self.assertEqual(labels - set(series[0]), set(), f"{where}: {expression}")

    def test_every_expression_is_evaluated(self):
        for where, expression in expressions():
            with self.subTest(where):
                self.stack.query(expression)

    def test_rules_are_loaded_and_well(self):
        rules = [rule for group in self.stack.get("rules")["groups"] for rule in group["rules"]]
        wait_until(lambda: all(rule["health"] == "ok" for rule in (
            rule for group in self.stack.get("rules")["groups"] for rule in group["rules"])), what="the rules' evaluation")
        self.assertEqual(len(rules), len(alerts()))

    def test_a_healthy_run_fires_nothing(self):
        firing = {alert["labels"]["alertname"] for alert in self.stack.get("alerts")["alerts"] if alert["state"] == "firing"}
        self.assertEqual(firing, set())

    def test_panels_about_jobs_show_something(self):
        for expression in ("sum(likeness_jobs)", "sum(likeness_job_transitions_total)", "min(likeness_disk_free_bytes)",
                           "likeness_ready", "sum(likeness_store_duration_seconds_count)"):
            # A scrape that a busy machine does not answer in time leaves nothing until the next one.
            wait_until(lambda: any(float(series["value"][1]) > 0 for series in self.stack.query(expression)), what=f"{expression} > 0")


@unittest.skipUnless(shutil.which("promtool"), "promtool is not installed (scripts/setup --tests)")
class Rules(unittest.TestCase):
    def promtool(self, *arguments):
        done = subprocess.run(["promtool", *arguments], cwd=DEPLOY / "prometheus", capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_configuration(self):
        self.promtool("check", "config", "prometheus.yaml")

    def test_alerts_fire_when_they_should_and_only_then(self):
        self.promtool("test", "rules", "alerts_test.yaml")

    def test_every_alert_is_tested(self):
        tests = yaml.safe_load((DEPLOY / "prometheus/alerts_test.yaml").read_text())["tests"]
        tested = {check["alertname"] for test in tests for check in test["alert_rule_test"] if check["exp_alerts"]}
        self.assertEqual(tested, {rule["alert"] for rule in alerts()})


class Dashboard(unittest.TestCase):
    def test_panels_are_whole_and_do_not_overlap(self):
        ids, cells = set(), set()
        for panel in dashboard()["panels"]:
            self.assertNotIn(panel["id"], ids)
            ids.add(panel["id"])
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    self.assertNotIn((x, y), cells, panel["title"])
                    cells.add((x, y))
        for panel in panels():
            self.assertTrue(panel["title"] and panel["description"] and panel["targets"], panel)
            self.assertEqual(panel["datasource"]["uid"], "${datasource}")
            letters = [target["refId"] for target in panel["targets"]]
            self.assertEqual(len(letters), len(set(letters)), panel["title"])


if __name__ == "__main__":
    unittest.main()
