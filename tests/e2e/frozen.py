"""The contract as it was frozen (proto/frozen.binpb): its messages and calls, and a worker that knows nothing else."""
import hashlib
import threading
import uuid

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import service

UNKNOWN = b"\x90\x89\x02\x01"  # field 4242, a number
OPAQUE = {"google.protobuf.Any", "google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.Empty"}

_files = descriptor_pb2.FileDescriptorSet.FromString((service.ROOT / "proto/frozen.binpb").read_bytes()).file
_pool = descriptor_pool.DescriptorPool()
for _file in _files:
    _pool.Add(_file)
METHODS = {f"/{file.package}.{one.name}/{method.name}": _pool.FindServiceByName(f"{file.package}.{one.name}").FindMethodByName(method.name)
           for file in _files for one in file.service for method in one.method}
LIKENESS = {path: method for path, method in METHODS.items() if path.startswith("/likeness.v1.")}


def message(name, /, **fields):
    """A message of the frozen contract."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"likeness.v1.{name}"))(**fields)


def value(name):
    """The number of a value of an enum, e.g. "JobState.JOB_STATE_FAILED"."""
    enum, _, name = name.rpartition(".")
    return _pool.FindEnumTypeByName(f"likeness.v1.{enum}").values_by_name[name].number


def request_class(method):
    return message_factory.GetMessageClass(method.input_type)


def response_class(method):
    return message_factory.GetMessageClass(method.output_type)


def stub(channel, path):
    """A call of the frozen contract, e.g. "JobService/WatchJob"."""
    method = LIKENESS[f"/likeness.v1.{path}"]
    kind = channel.unary_stream if path.rpartition("/")[2] in {"WatchJob", "GenerateImages"} else channel.unary_unary
    return kind(f"/likeness.v1.{path}", request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=response_class(method).FromString)


def parts(message):
    """The message and all messages in it, but for those within an Any."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry or field.message_type.full_name in OPAQUE:
            continue
        for part in [value] if hasattr(value, "ListFields") else value:
            yield from parts(part)


def add_unknown(message):
    """Adds a field that nobody knows to the message and to all in it."""
    for part in list(parts(message)):
        part.MergeFromString(UNKNOWN)
    return message


def goes_beyond(message):
    """Whether the message has fields, or values of enums, that the frozen contract has not."""
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    if known.ByteSize() != message.ByteSize():
        return True
    for part in parts(message):
        for field, value in part.ListFields():
            if field.enum_type is not None:
                for number in [value] if isinstance(value, int) else value:
                    if number not in field.enum_type.values_by_number:
                        return True
    return False


class Worker:
    """Takes jobs and ends them at once, in the words of the frozen contract. `metadata`: what its calls carry, e.g. a key."""

    def __init__(self, address, name="frozen", metadata=()):
        self.jobs = []       # names of jobs that it completed
        self.released = []   # names of jobs that it gave back
        self.failure = None  # what ended it too early
        self._metadata = list(metadata)
        self._name, self._instance = name, str(uuid.uuid4())
        self._channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", 64 << 20)])
        self._bytes = service.bytestream_pb2_grpc.ByteStreamStub(self._channel)
        self._stopped = threading.Event()
        self.hold = threading.Event()   # while it is set, a job goes on and on
        self.yields = threading.Event()  # while it is set, it gives jobs back, as one that is to stop
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._stopped.set()
        self._thread.join(20)
        self._channel.close()

    def _call(self, name, /, **fields):
        """The answer to the request, which has unknown fields in every message."""
        request = add_unknown(message(f"{name}Request", **fields))
        return stub(self._channel, f"WorkerService/{name}")(request, metadata=self._metadata, timeout=20)

    def _run(self):
        try:
            while not self._stopped.is_set():
                offer = {"name": "baseModels/tiny", "digest": "a" * 64, "image_size": 64, "default_token": "sks"}
                answer = self._call("AcquireLease", worker=self._name, device="frozen", base_models=[offer],
                                    methods=["dreambooth", "generate"], samplers=["ddim"], wait={"nanos": 200_000_000},
                                    instance=self._instance, request_id=str(uuid.uuid4()))
                if answer.HasField("lease"):
                    self._work(answer.lease)
        except Exception as error:  # shown by the test that waits for a job in vain
            self.failure = error

    def _work(self, lease):
        token, sequence = lease.lease_token, 0
        while True:
            sequence += 1
            news = self._call("Heartbeat", lease_token=token, sequence=sequence,
                              progress={"phase": value("JobPhase.JOB_PHASE_TRAINING"), "done": sequence, "total": 100, "unit": "steps"},
                              checkpoint={"step": sequence, "blob": self._store(lease, b"checkpoint %d" % sequence)},
                              samples=[{"step": sequence, "prompt": "a dog"}],
                              log_lines=[{"severity": 1, "text": f"step {sequence}"}])
            if news.cancel_requested or self.yields.is_set():
                reason = "RELEASE_REASON_CANCELLED" if news.cancel_requested else "RELEASE_REASON_PREEMPTED"
                self._call("ReleaseLease", lease_token=token, reason=value(f"ReleaseReason.{reason}"))
                self.released.append(lease.job.name)
                return
            if not self.hold.is_set():
                break
            self._stopped.wait(0.02)
        if lease.job.labels.get("fails"):
            self._call("FailLease", lease_token=token, error={"code": 9, "message": "as it was asked for"})
            return
        tunes = lease.job.HasField("fine_tune")
        data = b"output of " + lease.job.uid.encode()
        output = {"path": "model/card.json" if tunes else "samples/0000.png", "blob": self._store(lease, data), "size_bytes": len(data),
                  "kind": value(f"OutputKind.OUTPUT_KIND_{'MODEL_FILE' if tunes else 'IMAGE'}"),
                  "media_type": "application/json" if tunes else "image/png"}
        self._call("CompleteLease", lease_token=token, outputs=[output], metrics={"loss": 0.5})
        self.jobs.append(lease.job.name)

    def _store(self, lease, data):
        tenant = "/".join(lease.job.name.split("/")[:2])
        digest = hashlib.sha256(data).hexdigest()
        request = service.bytestream_pb2.WriteRequest(
            resource_name=f"{tenant}/uploads/{uuid.uuid4()}/blobs/{digest}/{len(data)}", data=data, finish_write=True)
        self._bytes.Write(iter([request]), metadata=[*self._metadata, ("likeness-lease", lease.lease_token)], timeout=20)
        return f"{tenant}/blobs/{digest}"
