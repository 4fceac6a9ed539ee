"""The direction of includes between rooms (docs/architecture.md), checked over the sources.

A room may include itself, the rooms listed for it, and nothing else of this project. Libraries that only some rooms may
know (gRPC, LibTorch, OpenCV, Abseil) are looked for through project headers too: a header that brings gRPC along may not
be included where gRPC may not be known.
"""
import functools
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.MULTILINE)

ENGINE = {"worker/base", "worker/nn", "worker/models", "worker/diffusion", "worker/tokenizers", "worker/checkpoints",
          "worker/evaluation", "worker/families", "worker/generation", "worker/training", "worker/exports", "worker/methods"}
MODELS = {"worker/base", "worker/nn", "worker/models", "worker/diffusion", "worker/tokenizers", "worker/checkpoints"}
SERVICE = {"worker/support", "worker/catalog", "worker/jobs", "worker/wire", "worker/commands"}
SERVER = {"server/commands", "server/main", "server/server", "server/server_parts", "server/server_ticks", "server/server_options",
          "server/server_option_checks", "server/data_directory"}
BELOW = {  # room: the rooms it may include
    "common": set(),
    "server/base": {"common"},
    "server/blobs": {"common"},
    "server/jobs": {"server/base", "server/blobs", "common"},
    "server/auth": {"server/jobs", "server/blobs", "common"},
    "server/webhooks": {"server/jobs", "server/base", "common"},
    "server/metrics": {"server/auth", "server/blobs", "server/jobs", "server/webhooks", "server/base", "common"},
    "server/maintenance": {"server/blobs", "server/jobs", "server/metrics", "server/data_directory", "common"},
    "server/api": {"server/auth", "server/blobs", "server/jobs", "server/metrics", "server/base", "common"},
    "client/lib": {"common"},
    "client/cli": {"common", "client/lib"},
    "client/testing": {"common", "client/lib"},
    "worker/base": set(),
    "worker/nn": {"worker/base"},
    "worker/models": {"worker/base", "worker/nn"},
    "worker/diffusion": {"worker/base", "common"},
    "worker/tokenizers": {"worker/base"},
    "worker/checkpoints": {"worker/base", "worker/nn", "worker/models"},
    "worker/evaluation": MODELS,
    "worker/families": MODELS | {"common"},
    "worker/generation": MODELS | {"worker/families", "common"},
    "worker/training": MODELS | {"worker/families", "worker/generation", "common"},
    "worker/exports": MODELS | {"worker/families", "common"},
    "worker/methods": ENGINE - {"worker/evaluation", "worker/methods"} | {"common"},
    "worker/images": {"worker/base", "common"},
    "worker/support": {"worker/base", "common"},
    "worker/catalog": ENGINE | {"worker/support", "common"},
    "worker/jobs": ENGINE | {"worker/images", "worker/support", "worker/catalog", "common"},
    "worker/wire": {"worker/base", "worker/jobs", "worker/support", "common"},
    "worker/commands": ENGINE | SERVICE | {"worker/images", "common"},
    "mini": ENGINE | {"worker/images", "worker/support", "common"},
}
PROGRAMS = ("server", "client", "worker", "mini")

# What a file of these rooms must not reach, however indirectly: name -> (pattern, rooms that may).
GRPC = re.compile(r"^(grpc|grpcpp(?!/support/status\.h)|google/bytestream)/|^likeness/v1/.*\.grpc\.pb\.h$")
MESSAGES = re.compile(r"^(grpc|grpcpp|google/protobuf|google/rpc|google/bytestream|likeness/v1)(/|$)")
TORCH = re.compile(r"^(torch|ATen|c10)/")
OPENCV = re.compile(r"^opencv2/")
ABSEIL = re.compile(r"^absl/")


def room_of(path):
    parts = path.split("/")
    if parts[0] not in PROGRAMS or parts[0] == "mini":
        return parts[0]
    return "/".join(parts[:2]).removesuffix(".cc").removesuffix(".h")


@functools.cache
def sources():
    rooms = ("common", *PROGRAMS)
    files = [p for room in rooms for p in (ROOT / room).rglob("*") if p.suffix in (".h", ".cc")]
    return {str(p.relative_to(ROOT)): INCLUDE.findall(p.read_text()) for p in sorted(files)}


@functools.cache
def reached(path):
    """All headers that `path` includes, directly or through headers of this project: header -> the way to it."""
    ways = {}
    todo = [(path, ())]
    while todo:
        file, way = todo.pop()
        for header in sources().get(file, ()):
            if header not in ways:
                ways[header] = (*way, header)
                todo.append((header, (*way, header)))
    return ways


def is_test(path):
    return path.endswith(("_test.cc", "_fixture.h")) or "/testing/" in path


class ArchitectureTest(unittest.TestCase):
    def check_unreachable(self, pattern, is_bound):
        wrong = [f"{path}: {' -> '.join(way)}" for path in sources() if is_bound(path)
                 for header, way in reached(path).items() if pattern.match(header)]
        self.assertEqual(wrong, [])

    def test_there_is_something_to_check(self):
        self.assertGreater(len(sources()), 50)

    def test_rooms_include_only_what_lies_below_them(self):
        wrong = []
        for path, headers in sources().items():
            room = room_of(path)
            allowed = BELOW.get(room)
            for header in headers:
                below = room_of(header)
                if header not in sources() or below == room:
                    continue
                if is_test(path) and below == "client/testing":
                    continue
                if room in SERVER or (is_test(path) and path.startswith("server/")):
                    fine = header.startswith(("server/", "common/"))
                else:
                    fine = allowed is not None and below in allowed
                if not fine:
                    wrong.append(f"{path} includes {header}")
        self.assertEqual(wrong, [])

    def test_every_room_is_listed(self):
        rooms = {room_of(path) for path in sources() if path.startswith(PROGRAMS) and not is_test(path)}
        self.assertEqual(rooms - BELOW.keys() - SERVER, set())

    def test_the_engine_knows_neither_grpc_nor_messages(self):
        self.check_unreachable(MESSAGES, lambda path: room_of(path) in ENGINE | {"worker/images", "mini"})

    def test_only_the_wire_and_the_commands_know_grpc_in_the_worker(self):
        self.check_unreachable(GRPC, lambda path: path.startswith("worker/") and not is_test(path) and
                               room_of(path) not in ("worker/wire", "worker/commands"))

    def test_the_wire_does_not_know_torch(self):
        self.check_unreachable(TORCH, lambda path: room_of(path) == "worker/wire")

    def test_server_client_and_common_know_neither_torch_nor_opencv(self):
        bound = ("server/", "client/", "common/")
        self.check_unreachable(TORCH, lambda path: path.startswith(bound))
        self.check_unreachable(OPENCV, lambda path: path.startswith(bound))

    def test_images_and_tokenizers_do_not_know_torch(self):
        self.check_unreachable(TORCH, lambda path: room_of(path) in ("worker/images", "worker/tokenizers"))

    def test_only_images_and_mini_know_opencv(self):
        may = {"worker/images", "mini"}
        # The thread count of every library that has one is set in one place.
        self.check_unreachable(OPENCV, lambda path: room_of(path) not in may and path != "worker/support/device.cc")

    def test_the_engine_does_not_know_abseil(self):
        self.check_unreachable(ABSEIL, lambda path: room_of(path) in ENGINE)


if __name__ == "__main__":
    sys.exit(unittest.main())
