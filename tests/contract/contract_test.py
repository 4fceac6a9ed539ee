#!/usr/bin/env python3
"""The contract in proto/: its style, that it breaks nobody, that it has room, and that its errors are documented.

    .venv/bin/python tests/contract/contract_test.py --freeze    # after a release: what is there now stays
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"
FROZEN = PROTO / "frozen.binpb"
BUF = shutil.which("buf") or ROOT / ".venv/bin/buf"  # scripts/setup --tests puts it there


def buf(*arguments):
    done = subprocess.run([str(BUF), *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def breaks(proto):
    """What `buf breaking` finds in a copy of the contract, a line for each finding; nothing if it breaks nobody."""
    code, out = buf("breaking", proto, "--against", FROZEN)
    return out.strip() or ("" if code == 0 else f"buf ended with {code}")


# What is planned, as changes of the files: (file, a line to add behind, what is added). Their numbers begin at 60, which no
# message has reached, so that a plan does not collide with the next field of another one.
PLANS = {
    "a method that draws on photos at generation": [
        ("fine_tune", "    DreamBooth dreambooth = 3;\n",
         "    // An encoder of photos and adapters.\n    PhotoEncoder photo_encoder = 60;\n"),
        ("fine_tune", "",
         "// An encoder of photos and adapters.\nmessage PhotoEncoder {\n  // The size.\n  int32 tokens = 1;\n"
         "  // The adapters.\n  Lora lora = 2;\n}\n"),
    ],
    "one more kind of job": [
        ("job", "    GenerateSpec generate = 6;\n", "    // Describe photos.\n    CaptionSpec caption = 60;\n"),
        ("job", "",
         "// Describes photos.\nmessage CaptionSpec {\n  // The model.\n  ModelSelection model = 1;\n"
         "  // The language.\n  string language = 2;\n}\n"),
        ("job", 'import "likeness/v1/generate.proto";\n', 'import "likeness/v1/model.proto";\n'),
        ("worker_service", "  repeated string features = 13 [(google.api.field_behavior) = OPTIONAL];\n",
         "  // The describing networks that the worker has.\n  repeated string captioners = 60 [(google.api.field_behavior) = OPTIONAL];\n"),
    ],
    "adapters that apply to some timesteps alone": [
        ("model", "  optional double strength = 2 [(google.api.field_behavior) = OPTIONAL];\n",
         "  // The first timestep.\n  optional double from_timestep = 60;\n"),
    ],
    "two subjects with priors of their own": [
        ("fine_tune", "  repeated Photo validation_photos = 5 [(google.api.field_behavior) = OPTIONAL];\n",
         "  // The prior of this subject.\n  Prior prior = 60;\n  // What prompts call it.\n  string alias = 61;\n"),
    ],
    "one more phase": [
        ("job", "  JOB_PHASE_SAMPLING = 6;\n", "  // Cropping.\n  JOB_PHASE_CROPPING = 60;\n"),
    ],
}


class ContractTest(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="likeness-contract-")
        self.addCleanup(self._folder.cleanup)
        self.copy = pathlib.Path(self._folder.name) / "proto"
        shutil.copytree(PROTO, self.copy)

    def change(self, file, old, new):
        path = self.copy / f"likeness/v1/{file}.proto"
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new, 1))

    def test_it_has_the_style_of_the_apis_of_google(self):
        self.assertEqual(buf("lint", PROTO), (0, ""))

    def test_it_breaks_nobody(self):
        self.assertEqual(breaks(PROTO), "")

    def test_a_break_is_found(self):
        for file, old, new in [
                ("job", "  int32 attempt = 14", "  int64 attempt = 14"),
                ("job", "  int32 queue_position = 15", "  int32 queue_place = 15"),
                ("job", "  JOB_PHASE_SAVING = 5;", "  JOB_PHASE_SAVING = 15;"),
                ("job_service", "  rpc WaitJob(WaitJobRequest) returns (Job) {", "  rpc AwaitJob(WaitJobRequest) returns (Job) {"),
                ("generate", "  optional string negative_prompt = 3", "  string negative_prompt = 3")]:
            with self.subTest(new):
                shutil.rmtree(self.copy)
                shutil.copytree(PROTO, self.copy)
                self.change(file, old, new)
                self.assertNotEqual(breaks(self.copy), "")

    def test_it_has_room_for_what_is_planned(self):
        for plan, changes in PLANS.items():
            for file, behind, added in changes:
                path = self.copy / f"likeness/v1/{file}.proto"
                text = path.read_text()
                self.assertIn(behind, text, plan)
                path.write_text(text.replace(behind, behind + added, 1) if behind else f"{text}\n{added}")
        self.assertEqual(breaks(self.copy), "")
        self.assertEqual(buf("lint", self.copy), (0, ""))


REASON = re.compile(r'"([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+|OVERLOADED)"')
# Words in this form that are no reasons: variables of the environment, names of codes and of states.
NOT_REASONS = re.compile(r"LIKENESS_|F8_E4M3$|XDG_|GLIBC_|JOB_STATE_|JOB_PHASE_|STATE_CHANGE_")
# ... and the values of the contract's enums.
VALUES = {value for path in PROTO.rglob("*.proto") for value in re.findall(r"^  ([A-Z][A-Z0-9_]+) = \d", path.read_text(), re.M)}
CODES = {"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
         "OUT_OF_RANGE_CODE", "DATA_LOSS", "DEADLINE_EXCEEDED"}


class ErrorsTest(unittest.TestCase):
    def test_every_reason_is_documented_and_every_documented_one_exists(self):
        used = set()
        for room in ("server", "common", "worker"):
            for path in (ROOT / room).rglob("*"):
                if path.suffix not in {".cc", ".h"} or re.search(r"_test\.cc$|jobs/contract/|_fixture\.h$|planted\.h$",
                                                                        str(path.relative_to(ROOT))):
                    continue
                used |= {word for word in REASON.findall(path.read_text()) if not NOT_REASONS.match(word)}
        used -= CODES | VALUES
        text = (ROOT / "docs/api.md").read_text()
        section = text[text.index("## Errors"):text.index("## Limits")]
        documented = {word for word in re.findall(r"`([A-Z][A-Z0-9_]+)`", section) if "_" in word or word == "OVERLOADED"} - CODES
        self.assertEqual(used - documented, set(), "not in docs/api.md")
        self.assertEqual(documented - used, set(), "in docs/api.md, but not in the code")

    def test_every_reason_says_whether_to_repeat(self):
        text = (ROOT / "docs/api.md").read_text()
        rows = re.findall(r"^\| `([A-Z_]+)` \| `([A-Z_]+)` \| ([^|]*) \| [^|]+ \|$", text, re.M)
        self.assertGreater(len(rows), 80)
        for reason, _, repeat in rows:
            self.assertIn(repeat, {"no", "at once", "after a pause", "after RetryInfo", "later"}, reason)


if __name__ == "__main__":
    if sys.argv[1:] == ["--freeze"]:
        sys.exit(subprocess.run([str(BUF), "build", str(PROTO), "--as-file-descriptor-set", "--exclude-source-info", "-o", str(FROZEN)]).returncode)
    unittest.main()
