"""The Python of docs/api.md that checks a webhook's signature, run on calls of a real server."""
import http.server
import pathlib
import queue
import re
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from service import BIN, ROOT, Process, free_ports  # noqa: E402
from likeness.v1 import job_service_pb2, job_service_pb2_grpc, worker_service_pb2, worker_service_pb2_grpc  # noqa: E402
import grpc  # noqa: E402

SECRET = "whsec_" + "QUFB" * 10
CALLS = queue.Queue()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        CALLS.put((self.headers, self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def verify_of_the_document():
    section = re.search(r"^## Webhooks\n(.*?)^## ", (ROOT / "docs/api.md").read_text(), re.M | re.S).group(1)
    names = {}
    exec(re.search(r"```python\n(.*?)```", section, re.S).group(1), names)
    return names["verify"]


class Snippet(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="likeness-webhook-")
        self.addCleanup(folder.cleanup)
        directory = pathlib.Path(folder.name)
        (directory / "secrets").write_text(f"* {SECRET}\n")
        receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        self.addCleanup(receiver.server_close)
        self.addCleanup(receiver.shutdown)
        self.url = f"http://127.0.0.1:{receiver.server_port}/hook"
        port, = free_ports(1)
        server = Process("server", directory, [
            BIN / "likeness-server", f"--listen=127.0.0.1:{port}", "--metrics-listen=", f"--data-dir={directory / 'data'}",
            f"--webhook-secrets={directory / 'secrets'}", "--webhook-allow=127.0.0.1"])
        self.addCleanup(server.close)
        server.wait_for_log("serving")
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.addCleanup(self.channel.close)

    def test_believes_the_server_and_nobody_else(self):
        offer = worker_service_pb2.AcquireLeaseRequest(worker="scripted", device="cpu", methods=["generate"])
        offer.base_models.add(name="baseModels/mini", digest="a" * 64, image_size=64, default_token="sks")
        worker_service_pb2_grpc.WorkerServiceStub(self.channel).AcquireLease(offer)
        request = job_service_pb2.CreateJobRequest()
        request.job.generate.prompts.append("a dög")
        request.job.webhook.url = self.url
        job_service_pb2_grpc.JobServiceStub(self.channel).CreateJob(request)
        headers, body = CALLS.get(timeout=30)
        verify = verify_of_the_document()
        verify(SECRET, headers, body)
        with self.assertRaises(ValueError):
            verify(SECRET, headers, body + b" ")
        with self.assertRaises(ValueError):
            verify("whsec_" + "QUJD" * 10, headers, body)
        old = dict(headers.items()) | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 600)}
        with self.assertRaises(ValueError):
            verify(SECRET, {name.lower(): value for name, value in old.items()}, body)


if __name__ == "__main__":
    unittest.main()
