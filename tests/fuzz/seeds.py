"""Writes the inputs that the corpora began with: tests/fuzz/seeds.py (what fuzzing found stands beside them)."""
import io
import pathlib
import struct
import sys
import zlib

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent / "e2e"), str(FOLDER.parent / "faults")]
import service  # noqa: E402
from google.protobuf import descriptor_pool, message_factory, text_format  # noqa: E402
from likeness.v1 import job_service_pb2, model_service_pb2, worker_service_pb2, blob_service_pb2  # noqa: E402,F401
from likeness.v1 import capabilities_service_pb2  # noqa: E402,F401

SHA = "0" * 64


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)) +
       png_chunk(b"IDAT", b"pixels") + png_chunk(b"IEND", b""))
JPEG = (b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0\0\x11\x08\0\x40\0\x40\3\1\x22\0\2\x11\1\3\x11\1" +
        b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0?\0pixels\xff\xd9")
WEBP = {
    "lossy": b"VP8 " + struct.pack("<I", 16) + b"\0\0\0\x9d\x01\x2a\x40\0\x40\0" + b"pixels",
    "lossless": b"VP8L" + struct.pack("<I", 10) + b"\x2f" + struct.pack("<I", 63 | 63 << 14) + b"pixel",
    "extended": b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\x3f\0\0\x3f\0\0",
    "animated": b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + b"\x3f\0\0\x3f\0\0",
}

JOB = 'generate { model { name: "baseModels/a" } prompts: "a dog" }'
TUNE = ('fine_tune { base_model: "baseModels/a" subjects { photos { inline: "%s" crop_box { width: 32 height: 32 } } '
        'class_noun: "dog" token: "sks" } dreambooth { train_text_encoder: true } training { steps: 10 learning_rate: 1e-5 '
        'warmup_steps: 1 precision: PRECISION_BF16 } prior { class_images: 2 sampler: "ddim" } previews { every_steps: 5 '
        'prompts: "a {subject}" } samples { prompts: "a {class}" seed: 3 } output_model_id: "m" }')
NAME = 'name: "tenants/default/jobs/fuzz"'
UPLOAD = f"tenants/default/uploads/u/blobs/{SHA}/4"
# Public keys whose private halves are gone.
JWKS_EC = '{"keys": [{"kty": "EC", "crv": "P-256", "kid": "e", "use": "sig", "x": "Da9WUBnSOQGOp1Ifo0jXbXkb5RLeSS35ICcQyYbJwmU", "y": "wmAA69ImsjG12sVWIIoK3g7zaATHWitUkqGFe2IWzcQ"}]}'
JWKS_RSA = ('{"keys": [{"kty": "RSA", "alg": "RS256", "e": "AQAB", "n": "sPgH7mbMVrr_l5_MNE4J0RQ2vybb8mnqwto646_6XvvC9Iy_vDP7Y_l_-rrr5_QscCN6Ab8NfHyMdbsfQbxzAqT8D1Qv6OgbWCrU'
            'W6hFg6mvrNJQ-F3CBDtWPdKmlKnPox8oFh6dBG8dQ8f-HPt1ga3xFsuB6DahvvWzD4GvrRhS0J8G8iVs7HzG2MM54RN9YAmO5Rfri6qy9DYEcHESytgPXjje'
            'ZHX5LQWCRPnydY2F2vNQIu02oMIAlvJfBQT8fD0wisC4QCbmFHWDfb2tQvyp-ALw62mgbV1wdwIhx2NPBavsMVa4VYoYqM9l9A5jXSJQm-eXlgqMTsiPO8SKGw"}]}')
PEM_EC = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDa9WUBnSOQGOp1Ifo0jXbXkb5RLe
SS35ICcQyYbJwmXCYADr0iayMbXaxVYgigreDvNoBMdaK1SSoYV7YhbNxA==
-----END PUBLIC KEY-----
"""
REQUESTS = {  # method: requests in text format; of a streaming one, lists of them
    "likeness.v1.JobService.CreateJob": [
        f'parent: "tenants/default" job_id: "a" request_id: "r" job {{ labels {{ key: "k" value: "v" }} max_attempts: 2 {JOB} }}',
        f"validate_only: true job {{ {JOB} }}"],
    "likeness.v1.JobService.GetJob": [NAME],
    "likeness.v1.JobService.ListJobs": ['page_size: 1 filter: "state = RUNNING OR labels.k = \\"v\\"" order_by: "end_time"',
                                        'page_token: "S1/2"'],
    "likeness.v1.JobService.CancelJob": [NAME + ' etag: "W/\\"1-0\\""'],
    "likeness.v1.JobService.RetryJob": [NAME],
    "likeness.v1.JobService.DeleteJob": [NAME],
    "likeness.v1.JobService.WaitJob": [NAME + " timeout { nanos: 1000 }"],
    "likeness.v1.JobService.WatchJob": [NAME, NAME + ' resume_token: "U1"', NAME + ' skip_snapshot: true'],
    "likeness.v1.JobService.GenerateImages": [
        'generate { prompts: "a dog" images_per_prompt: 2 seed: 1 sampler: "ddim" steps: 3 guidance: 2 } request_id: "g"'],
    "likeness.v1.ModelService.ListModels": ['page_size: 1 page_token: "Sa"'],
    "likeness.v1.ModelService.GetModel": ['name: "tenants/default/models/m"'],
    "likeness.v1.ModelService.DeleteModel": ['name: "tenants/default/models/m"'],
    "likeness.v1.ModelService.ListBaseModels": ['page_size: 1 page_token: "Sa"'],
    "likeness.v1.ModelService.GetBaseModel": ['name: "baseModels/a"'],
    "likeness.v1.BlobService.FindMissingBlobs": [f'blobs: "tenants/default/blobs/{SHA}"'],
    "likeness.v1.CapabilitiesService.GetCapabilities": [""],
    "likeness.v1.WorkerService.AcquireLease": [
        'worker: "w" device: "cpu" base_models { name: "baseModels/a" digest: "d" image_size: 64 default_token: "t" } '
        'methods: "generate" samplers: "ddim" wait { } instance: "i" request_id: "r" version: "1"'],
    "likeness.v1.WorkerService.Heartbeat": [
        'lease_token: "L" progress { phase: JOB_PHASE_TRAINING done: 1 total: 2 training { step: 1 loss: 0.5 } } warnings: "w" '
        'sequence: 1 log_lines { severity: LOG_SEVERITY_INFO text: "a line" } samples { step: 1 prompt: "p" preview: "png" }',
        f'lease_token: "L" sequence: 2 checkpoint {{ step: 1 blob: "tenants/default/blobs/{SHA}" }}'],
    "likeness.v1.WorkerService.CompleteLease": [
        'lease_token: "L" metrics { key: "loss" value: 0.5 } resolved { base_model_digest: "d" }',
        f'lease_token: "L" outputs {{ path: "samples/0.png" kind: OUTPUT_KIND_IMAGE blob: "tenants/default/blobs/{SHA}" }}'],
    "likeness.v1.WorkerService.FailLease": ['lease_token: "L" retryable: true error { code: 13 message: "m" }'],
    "likeness.v1.WorkerService.ReleaseLease": ['lease_token: "L" reason: RELEASE_REASON_PREEMPTED'],
    "google.bytestream.ByteStream.Read": [f'resource_name: "tenants/default/blobs/{SHA}" read_offset: 1 read_limit: 2'],
    "google.bytestream.ByteStream.QueryWriteStatus": [f'resource_name: "{UPLOAD}"'],
    "google.bytestream.ByteStream.Write": [
        [f'resource_name: "{UPLOAD}" data: "ab"', 'write_offset: 2 data: "cd" finish_write: true'],
        [f'resource_name: "{UPLOAD}" write_offset: 2 data: "abc"']],
}


OFFER = ('worker: "w" device: "cpu" base_models { name: "baseModels/a" digest: "d" image_size: 64 default_token: "t" } '
         'methods: "generate" methods: "dreambooth" samplers: "ddim" samplers: "dpmpp_2m"')


def write(target, seeds):
    folder = FOLDER / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number:02}").write_bytes(seed if isinstance(seed, bytes) else seed.encode())


def method_key(name):
    value = 2166136261
    for byte in name.encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return struct.pack(">H", (value >> 16 ^ value) & 0xFFFF)


def requests():
    for method, texts in REQUESTS.items():
        found = descriptor_pool.Default().FindMethodByName(method)
        kind = message_factory.GetMessageClass(found.input_type)
        for text in texts:
            if found.client_streaming:
                messages = [text_format.Parse(part, kind()).SerializeToString() for part in text]
                yield method_key(method) + b"".join(struct.pack(">H", len(message)) + message for message in messages)
            else:
                yield method_key(method) + text_format.Parse(text, kind()).SerializeToString()


def photos():
    """Small files of each format, with an EXIF orientation in each way that a format can carry it."""
    from PIL import Image

    def encoded(kind, mode="RGB"):
        out = io.BytesIO()
        Image.linear_gradient("L").resize((48, 40)).convert(mode).save(out, kind)
        return out.getvalue()

    jpeg, png = encoded("JPEG"), encoded("PNG")
    exif = b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"
    segment = b"Exif\0\0" + exif
    yield from (jpeg, png, encoded("WEBP"), encoded("PNG", "I;16"), encoded("PNG", "LA"), encoded("PNG", "P"),
                encoded("JPEG", "CMYK"), encoded("JPEG", "L"))
    yield jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
    yield png[:33] + chunk + png[33:]
    yield jpeg[:-30]


def model_files():
    """A safetensors file, the configurations of the miniature, an index, a card."""
    header = (b'{"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}, '
              b'"b": {"dtype": "U8", "shape": [], "data_offsets": [8, 9]}}')
    yield b"\0" + struct.pack("<Q", len(header)) + header + b"12345678a"
    mini = FOLDER.parents[1] / "models/mini"
    for kind, name in enumerate(("unet/config.json", "text_encoder/config.json", "scheduler/scheduler_config.json"), 1):
        yield bytes([kind]) + (mini / name).read_bytes()
    yield b"\4" + (mini / "vae/config.json").read_bytes()
    yield b'\5{"weight_map": {"a": "part.safetensors"}}'
    yield b"\6" + (mini / "likeness_defaults.json").read_bytes()
    yield b'\7{"format": 1, "token": "zwx", "class_noun": "dog", "method": "lora", "base": {"digest": "d"}, ' \
          b'"settings": {"lora": {"variant": "dora"}}}'


SEQUENCES = [  # steps, each a kind (sequences.h) and a message
    [("create", 'job_id: "0" job { generate { model { name: "baseModels/a" } prompts: "a dog" } }'),
     ("acquire", OFFER), ("heartbeat", 'lease_token: "0" sequence: 1 log_lines { text: "a line" } progress { phase: JOB_PHASE_TRAINING done: 1 }'),
     ("complete", 'lease_token: "0"'), ("delete", 'name: "0"')],
    [("create", 'job_id: "1" job { max_attempts: 2 execution_timeout { seconds: 60 } generate { model { name: "baseModels/a" } prompts: "a" } }'),
     ("acquire", OFFER), ("cancel", 'name: "1"'), ("release", 'lease_token: "1" reason: RELEASE_REASON_CANCELLED'),
     ("retry", 'name: "1"'), ("acquire", OFFER), ("time", "seconds: 3600"), ("complete", 'lease_token: "1"'), ("acquire", OFFER),
     ("fail", 'lease_token: "1" retryable: true error { code: 13 message: "m" }'), ("time", "seconds: 10"), ("acquire", OFFER)],
    [("create", f'job_id: "2" request_id: "r" job {{ webhook {{ url: "https://example.com/" }} {JOB} }}'), ("get", 'name: "2"'),
     ("list", 'filter: "state = PENDING"'), ("cancel", 'name: "2"'), ("get model", 'name: "tenants/default/models/m"'),
     ("delete model", 'name: "tenants/default/models/m"')],
]


def sequences():
    from google.protobuf import duration_pb2
    kinds = {"create": job_service_pb2.CreateJobRequest, "get": job_service_pb2.GetJobRequest,
             "cancel": job_service_pb2.CancelJobRequest, "retry": job_service_pb2.RetryJobRequest,
             "delete": job_service_pb2.DeleteJobRequest, "list": job_service_pb2.ListJobsRequest,
             "acquire": worker_service_pb2.AcquireLeaseRequest, "heartbeat": worker_service_pb2.HeartbeatRequest,
             "complete": worker_service_pb2.CompleteLeaseRequest, "fail": worker_service_pb2.FailLeaseRequest,
             "release": worker_service_pb2.ReleaseLeaseRequest, "time": duration_pb2.Duration,
             "get model": model_service_pb2.GetModelRequest, "delete model": model_service_pb2.DeleteModelRequest}
    for steps in SEQUENCES:
        messages = [(list(kinds).index(kind), text_format.Parse(text, kinds[kind]()).SerializeToString()) for kind, text in steps]
        yield b"".join(struct.pack(">BH", kind, len(message)) + message for kind, message in messages)


def main():
    write("names", ["tenants/default/jobs/a-1", "baseModels/mini", "tenants/default/models/rex", f"tenants/default/blobs/{SHA}",
                    UPLOAD, "tenants/default", "tenants/../jobs/a"])
    write("image_header", [PNG, JPEG, *(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body for body in WEBP.values()),
                           b"GIF89a\x40\0\x40\0", b"\0\0\0\x18ftypheic", b""])
    write("flags", ["--data-dir=/d", "--data-dir\n/d\n--listen=unix:/s\n--executor-threads=4\n--lease-duration=90s",
                    "--log-format=json\n--log-level=debug\n--metrics-listen=\n--max-blob-bytes=10\n--", "--help", "--no-version"])
    write("filter", ["\nstate = RUNNING", "create_time desc\nstate != PENDING AND method = generate",
                     "end_time\nlabels.project = \"x\" OR NOT labels:project", 'end_time desc\ncreate_time > "2026-11-24T00:00:00Z"',
                     'create_time\n-(end_time <= "2027-01-15T08:00:01Z")', 'create_time asc\nmodel = "baseModels/a"',
                     'x\nlabels.k != "a\\"b\\\\"'])
    write("tokens", [b"\0u/1", b"\0u/2", b"\0u/9", b"\0v/1", b"\1abcd", b"\1", b"\1now"])
    create = job_service_pb2.CreateJobRequest
    escaped = "".join(f"\\x{byte:02x}" for byte in PNG)
    write("jobs", [text_format.Parse(text, create()).SerializeToString() for text in (
        f"job {{ {JOB} }}", f'job {{ labels {{ key: "k" value: "v" }} {TUNE % escaped} }} job_id: "t" request_id: "r"',
        'job { generate { prompts: "p" negative_prompt: "n" images_per_prompt: 2 seed: 1 sampler: "dpmpp_2m" steps: 2 '
        'guidance: 3 width: 64 height: 128 } max_attempts: 10 }')])
    write("uploads", [bytes([0x00, 0xF2, 0xF2, 0xF2, 0xF2, 0x08]), bytes([0x00, 0xF2, 0x0E, 0x00, 0xF2, 0xF2, 0x08, 0x01, 0x09]),
                      bytes([0x01, 0xF7, 0xF7, 0xF7, 0xF7, 0x09, 0x0B, 0x0D])])
    claims = ('{"iss": "i", "aud": %s, "sub": "ann", "exp": %s, "nbf": 1, "tenant": "acme", "roles": %s}')
    write("credentials", [b"\0Bearer lk_abcdefghijkl_secret", b"\0bearer ", b"\0Basic YTpi", b"\0Bearer eyJhbGciOiJub25lIn0.e30.",
                          b"\1" + (claims % ('"likeness"', "1800000060", '["submit", "worker"]')).encode(),
                          b"\1" + (claims % ('["likeness"]', "1.8e12", '"read admin"')).encode(),
                          b"\1" + (claims % ("{}", "-1", "null")).encode(), b"\2", b"\2\0\5A\0\x30B"])
    write("webhooks", ["https://example.com/hook?x=1#y", "http://127.0.0.1:80/", "http://[::1]/", "http://2130706433/",
                       "https://0x7f.1/", "http://[::ffff:10.0.0.1]:8080/a", "http://a:b@example.com/", "ftp://example.com",
                       "HTTP://EXAMPLE.COM", "10.0.0.0/8,fd00::/8", "acme whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])
    write("requests", list(requests()))
    write("traceparent", ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "01-" + "1" * 32 + "-" + "2" * 16 + "-00-more",
                          "00-" + "0" * 32 + "-" + "0" * 16 + "-00"])
    key = '{"id": "abcdefgh", "sha256": "%s", "tenant": "acme", "roles": ["admin", "submit"], "note": "n"}' % ("a" * 64)
    write("auth_file", ['{"keys": [%s]}' % key, '{"keys": [], "tenants": {"*": {"max_pending_jobs": 1, "max_running_jobs": 2, '
                        '"max_stored_bytes": 3, "worker_seconds_per_day": 4.5, "worker_seconds_per_month": 1e300, '
                        '"calls_per_second": 0.5, "burst": 3}}}', '{"jwt": {"keys_file": "k", "issuer": "i", "audience": "a"}}',
                        '{"keys": [{"id": "w", "sha256": "%s", "roles": ["worker"], "expire_time": "2027-01-01T00:00:00Z"}]}' % SHA])
    write("jwks", [JWKS_EC, JWKS_RSA, '{"keys": []}', PEM_EC])
    write("secrets", ["* whsec_" + "A" * 32, "# none\n\nacme whsec_" + "B" * 44 + "\nacme whsec_" + "C" * 32, "acme hunter2hunter2"])
    write("photos", photos())
    special = '{"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": null, "unk_token": "</s>", "model_max_length": %s}'
    vocabulary = '{"<s>": 0, "</s>": 1, "a": 2, "b</w>": 3, "ab</w>": 4}'
    write("tokenizer", ["\n%%\n".join([vocabulary, "#version: 0.2\na b</w>\n", special % "8"]),
                        "\n%%\n".join(["", "", special % "1e30", "{}", '{"model": {"vocab": %s, "merges": [["a", "b</w>"]]}, '
                                       '"added_tokens": [{"content": "<s>", "normalized": true}]}' % vocabulary]),
                        "\n%%\n".join([vocabulary, "#version: 0.2\na b</w>\n", special % "8", "", "", '{"<s>": 0, "<toy>": 5}'])])
    write("sequences", list(sequences()))
    write("model_files", model_files())


if __name__ == "__main__":
    main()
