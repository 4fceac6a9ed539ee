"""Server and worker of neighbouring versions: each sends fields that the other does not know, in every message, and a job runs
through. A proxy between them adds the fields; it also loses answers, which are asked for again."""
import unittest
from concurrent import futures

import grpc

import service
from service import job_pb2
from likeness.v1 import worker_service_pb2

UNKNOWN = b"\x90\x89\x02\x01"  # field 4242, a number
WORKERS = "/likeness.v1.WorkerService/"
State = job_pb2


def add_unknown(message):
    """Adds the field to a message and to all messages in it, but not to those within an Any."""
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        if field.message_type.full_name in {"google.protobuf.Any", "google.protobuf.Timestamp", "google.protobuf.Duration"}:
            continue
        for part in [value] if hasattr(value, "ListFields") else value:
            add_unknown(part)
    message.MergeFromString(UNKNOWN)
    return message


class Proxy(grpc.GenericRpcHandler):
    """Hands every call on to the server."""

    def __init__(self, address):
        self.changed = set()  # methods whose messages were changed, both ways
        self.lost = set()     # methods of which one answer was lost
        self.channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", 64 << 20)])
        self.server = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", 64 << 20)])
        self.server.add_generic_rpc_handlers((self,))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def close(self):
        self.server.stop(None).wait()
        self.channel.close()

    def service(self, call):
        method = call.method
        metadata = [(key, value) for key, value in call.invocation_metadata if not key.startswith(("grpc-", "user-agent"))]
        if method.startswith(WORKERS):
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: self.forward(method, metadata, request, context))
        def stream(requests, context):
            try:
                yield from self.channel.stream_stream(method)(requests, metadata=metadata)
            except grpc.RpcError as error:
                context.set_trailing_metadata(error.trailing_metadata() or ())
                context.abort(error.code(), error.details())
        return grpc.stream_stream_rpc_method_handler(stream)

    def forward(self, method, metadata, request, context):
        name = method.removeprefix(WORKERS)
        asked = add_unknown(getattr(worker_service_pb2, f"{name}Request").FromString(request))
        try:
            answer = self.channel.unary_unary(method)(asked.SerializeToString(), metadata=metadata, timeout=60)
        except grpc.RpcError as error:
            context.set_trailing_metadata(error.trailing_metadata() or ())
            context.abort(error.code(), error.details())
        self.changed.add(name)
        reply = getattr(worker_service_pb2, f"{name}Response").FromString(answer)
        worth_losing = name != "AcquireLease" or reply.HasField("lease")
        if worth_losing and name not in self.lost:
            self.lost.add(name)
            context.abort(grpc.StatusCode.UNAVAILABLE, "the answer was lost")
        return add_unknown(reply).SerializeToString()


class UpgradeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = service.Service()
        cls.addClassCleanup(cls.service.close)
        cls.proxy = Proxy(cls.service.address)
        cls.addClassCleanup(cls.proxy.close)
        cls.worker = cls.service.start_worker(server=f"127.0.0.1:{cls.proxy.port}")
        cls.service.wait_for_models()

    def test_a_job_runs_through_between_neighbouring_versions(self):
        photos = service.draw_photos(self.service.directory / "photos")
        made = self.service.wait(self.service.create(service.fine_tune_job(photos)).name)
        self.assertEqual(made.state, State.JOB_STATE_SUCCEEDED, made)
        self.assertEqual(made.attempt, 1, "an answer that is lost costs no attempt")
        drawn = self.service.wait(self.service.create(service.generate_job(["a {subject}"], made.output_model)).name)
        self.assertEqual(drawn.state, State.JOB_STATE_SUCCEEDED, drawn)
        self.assertNotIn(UNKNOWN, made.SerializeToString() + drawn.SerializeToString(), "what is unknown is not kept")
        bad = service.fine_tune_job([photos[0]])
        bad.fine_tune.subjects[0].token, bad.fine_tune.subjects[0].require_single_token = "qqq", True
        self.assertEqual(self.service.wait(self.service.create(bad).name).state, State.JOB_STATE_FAILED)
        self.assertLessEqual({"AcquireLease", "Heartbeat", "CompleteLease", "FailLease"}, self.proxy.changed)
        self.assertLessEqual({"AcquireLease", "Heartbeat", "CompleteLease", "FailLease"}, self.proxy.lost)


if __name__ == "__main__":
    unittest.main()
