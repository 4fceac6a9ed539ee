"""Writes the inputs that the corpora began with: tests/fuzz/seeds.py (what fuzzing found stands beside them)."""
import pathlib
import struct
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent / "e2e"), str(FOLDER.parent / "faults")]
import service  # noqa: E402
from google.protobuf import descriptor_pool, message_factory, text_format  # noqa: E402
from likeness.v1 import job_service_pb2, model_service_pb2, worker_service_pb2, blob_service_pb2  # noqa: E402,F401
from likeness.v1 import capabilities_service_pb2  # noqa: E402,F401

SHA = "0" * 64
PNG = (b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0) + b"\0\0\0\0" +
       struct.pack(">I", 6) + b"IDATpixels\0\0\0\0" + struct.pack(">I", 0) + b"IEND\0\0\0\0")
JPEG = (b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0\0\x11\x08\0\x40\0\x40\3\1\x22\0\2\x11\1\3\x11\1" +
        b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0?\0pixels\xff\xd9")
WEBP = {
    "lossy": b"VP8 " + struct.pack("<I", 16) + b"\0\0\0\x9d\x01\x2a\x40\0\x40\0" + b"pixels",
    "lossless": b"VP8L" + struct.pack("<I", 10) + b"\x2f" + struct.pack("<I", 63 | 63 << 14) + b"pixel",
    "extended": b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\x3f\0\0\x3f\0\0",
    "animated": b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + b"\x3f\0\0\x3f\0\0",
}

JOB = 'generate { model: "models/a" prompts: "a dog" }'
TUNE = ('fine_tune { base_model: "models/a" subject { photos { inline: "%s" crop_box { width: 32 height: 32 } } '
        'class_noun: "dog" token: "sks" } dreambooth { train_text_encoder: true } training { steps: 10 learning_rate: 1e-5 '
        'warmup_steps: 1 precision: PRECISION_BF16 } prior { class_images: 2 sampler: "ddim" } previews { every_steps: 5 '
        'prompts: "a {subject}" } samples { prompts: "a {class}" seed: 3 } output_model: "m" }')
NAME = 'name: "tenants/default/jobs/fuzz"'
UPLOAD = f"tenants/default/uploads/u/blobs/{SHA}/4"
REQUESTS = {  # method: requests in text format; of a streaming one, lists of them
    "likeness.v1.JobService.CreateJob": [
        f'parent: "tenants/default" job_id: "a" request_id: "r" job {{ labels {{ key: "k" value: "v" }} max_attempts: 2 {JOB} }}',
        f"validate_only: true job {{ {JOB} }}"],
    "likeness.v1.JobService.GetJob": [NAME],
    "likeness.v1.JobService.ListJobs": ['page_size: 1 filter: "state = RUNNING OR labels.k = \\"v\\"" order_by: "end_time"',
                                        'page_token: "S1/2"'],
    "likeness.v1.JobService.CancelJob": [NAME + ' etag: "s1"'],
    "likeness.v1.JobService.RetryJob": [NAME],
    "likeness.v1.JobService.DeleteJob": [NAME],
    "likeness.v1.JobService.WaitJob": [NAME + " timeout { nanos: 1000 }"],
    "likeness.v1.JobService.WatchJob": [NAME, NAME + ' resume_token: "U1"', NAME + ' resume_token: "now"'],
    "likeness.v1.JobService.GenerateImages": ['prompt: "a dog" images: 2 seed: 1 sampler: "ddim" steps: 3 guidance: 2'],
    "likeness.v1.ModelService.ListModels": ['page_size: 1 page_token: "Sa"'],
    "likeness.v1.ModelService.GetModel": ['name: "tenants/default/models/m"'],
    "likeness.v1.ModelService.DeleteModel": ['name: "tenants/default/models/m"'],
    "likeness.v1.BlobService.FindMissingBlobs": [f'blobs: "tenants/default/blobs/{SHA}"'],
    "likeness.v1.CapabilitiesService.GetCapabilities": [""],
    "likeness.v1.WorkerService.AcquireLease": [
        'worker: "w" device: "cpu" base_models { name: "models/a" digest: "d" image_size: 64 default_token: "t" } '
        'methods: "generate" samplers: "ddim" wait { }'],
    "likeness.v1.WorkerService.Heartbeat": [
        'lease_token: "L" progress { phase: "training" done: 1 total: 2 training { step: 1 loss: 0.5 } } warnings: "w" '
        'log_lines { severity: LOG_SEVERITY_INFO text: "a line" } samples { step: 1 prompt: "p" preview: "png" }',
        f'lease_token: "L" checkpoint {{ step: 1 blob: "tenants/default/blobs/{SHA}" }}'],
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


def main():
    write("names", ["tenants/default/jobs/a-1", "models/mini", "tenants/default/models/rex", f"tenants/default/blobs/{SHA}",
                    UPLOAD, "tenants/default", "tenants/../jobs/a"])
    write("image_header", [PNG, JPEG, *(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body for body in WEBP.values()),
                           b"GIF89a\x40\0\x40\0", b"\0\0\0\x18ftypheic", b""])
    write("flags", ["--data-dir=/d", "--data-dir\n/d\n--listen=unix:/s\n--executor-threads=4\n--lease-duration=90s",
                    "--log-format=json\n--log-level=debug\n--metrics-listen=\n--max-blob-bytes=10\n--", "--help", "--no-version"])
    write("filter", ["\nstate = RUNNING", "create_time desc\nstate != PENDING AND method = generate",
                     "end_time\nlabels.project = \"x\" OR NOT labels:project", 'end_time desc\ncreate_time > "2026-11-24T00:00:00Z"',
                     'create_time\n-(end_time <= "2027-01-15T08:00:01Z")', 'create_time asc\nmodel = "models/a"',
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


if __name__ == "__main__":
    main()
