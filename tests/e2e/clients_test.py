"""The main job as people drive it: with the command line client, with grpcurl alone, with the Python example."""
import json
import os
import subprocess
import sys
import unittest

import service

EXAMPLES = service.ROOT / "client/examples"


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = service.Service()
        cls.addClassCleanup(cls.service.close)
        cls.service.start_worker()
        cls.service.wait_for_models()
        cls.photos = cls.service.directory / "photos"
        service.draw_photos(cls.photos)

    def run_client(self, *command, **variables):
        environment = dict(os.environ, LIKENESS_SERVER=self.service.address, **variables)
        environment["PATH"] = os.pathsep.join([str(service.BIN), str(service.ROOT / ".venv/bin"), environment["PATH"]])
        result = subprocess.run([str(part) for part in command], env=environment, cwd=self.service.directory,
                                capture_output=True, text=True, timeout=100)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def test_command_line_client(self):
        out = self.service.directory / "by-cli"
        self.run_client("likeness", "train", "--class=dog", f"--photos={self.photos}", "--steps=3", "--name=by-cli",
                        "--seed=0", "--prompt=a {subject} in the snow", "--wait", f"--out={out}")
        self.assertTrue((out / "contact-sheet.png").exists(), list(out.rglob("*")))
        self.run_client("likeness", "generate", "--model=by-cli", "a {subject}", "--images=1", f"--out={out}/more")
        self.assertTrue(list((out / "more").rglob("*.png")))
        job = json.loads(self.run_client("likeness", "get", "by-cli", "--json"))
        self.assertEqual(job["state"], "JOB_STATE_SUCCEEDED")

    def test_adapters_by_the_command_line(self):
        for method, name in (("lora", "dog-lora"), ("textual_inversion", "dog-word")):
            self.run_client("likeness", "train", "--class=dog", f"--photos={self.photos}", "--steps=3", f"--name={name}",
                            f"--method={method}", "--no-samples", "--wait", *(["--rank=2"] if method == "lora" else []))
        table = self.run_client("likeness", "models", "list")
        self.assertRegex(table, r"models/dog-lora +zwx dog +lora adapter +tiny")
        self.assertRegex(table, r"models/dog-word +zwx dog +textual_inversion adapter +tiny")
        out = self.service.directory / "by-adapters"
        self.run_client("likeness", "generate", "--adapter=dog-lora:0.5", "--adapter=dog-word", "a {subject}", f"--out={out}")
        self.assertTrue(list(out.rglob("*.png")))
        self.run_client("likeness", "download", "dog-lora", f"--out={out}/files")
        self.assertTrue(list((out / "files").rglob("pytorch_lora_weights.safetensors")))

    def test_grpcurl_alone(self):
        out = self.service.directory / "by-grpcurl"
        self.run_client("bash", EXAMPLES / "grpcurl.sh", self.photos, out)
        self.assertTrue((out / "picture.png").stat().st_size > 0)

    def test_python_example(self):
        out = self.service.directory / "by-python"
        self.run_client(sys.executable, EXAMPLES / "python/personalize.py", self.photos, out, "--class=dog")
        self.assertTrue(list(out.rglob("*.png")))

    def test_python_example_runs_no_stubs_that_were_there_and_leaves_them_where_it_is_told(self):
        shared, stubs = self.service.directory / "tmp", self.service.directory / "stubs"
        shared.mkdir()
        (stubs / "likeness/v1").mkdir(parents=True)
        (stubs / "likeness/v1/job_pb2.py").write_text("raise SystemExit('planted')")
        example = EXAMPLES / "python/personalize.py"
        self.run_client(sys.executable, example, "--help", TMPDIR=str(shared))
        self.assertEqual(list(shared.iterdir()), [], "what it leaves, others can foresee and replace")
        self.run_client(sys.executable, example, "--help", "--stubs", stubs)
        self.assertIn("job.proto", (stubs / "likeness/v1/job_pb2.py").read_text())


if __name__ == "__main__":
    unittest.main()
