"""The worker without a server: one job, and the small commands."""
import io
import json
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

from google.protobuf import json_format
from PIL import Image

import service
from likeness.v1 import fine_tune_pb2


class Offline(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory(prefix="likeness-offline-")
        cls.addClassCleanup(temporary.cleanup)
        cls.directory = pathlib.Path(temporary.name)
        subprocess.run([service.BIN / "likeness-tiny-model", cls.directory / "models/tiny", cls.directory / "evaluators"], check=True)
        cls.photos = service.draw_photos(cls.directory / "photos")

    def command(self, job, out, *flags):
        file = self.directory / f"{out}.json"
        file.write_text(json_format.MessageToJson(job))
        return [service.BIN / "likeness-worker", "run", f"--job={file}", f"--out={self.directory / out}",
                f"--models={self.directory / 'models'}", f"--cache-dir={self.directory / 'cache'}", "--threads=1",
                "--device=cpu", *flags]

    def run_job(self, job, out, *flags):
        subprocess.run(self.command(job, out, *flags), check=True, capture_output=True, timeout=100)
        return self.files(out)

    def files(self, out):
        root = self.directory / out
        return {str(file.relative_to(root)): service.bare(file.read_bytes()) for file in root.rglob("*")
                if file.is_file() and file.name != "job.json"}

    def test_a_job_leaves_model_pictures_and_its_record(self):
        files = self.run_job(service.fine_tune_job(self.photos), "whole")
        self.assertLessEqual({"model/unet/diffusion_pytorch_model.safetensors", "samples/0001.png",
                              "contact-sheet.png"}, set(files))
        self.assertFalse([path for path in files if "checkpoint" in path or "scratch" in path])
        job = json.loads((self.directory / "whole/job.json").read_text())
        self.assertEqual(job["state"], "JOB_STATE_SUCCEEDED")
        self.assertEqual({output["path"] for output in job["outputs"]}, set(files))

    def test_photos_may_lie_beside_the_job(self):
        inline = self.run_job(service.fine_tune_job(self.photos), "inline")
        beside = self.run_job(service.fine_tune_job([]), "beside", f"--photos={self.directory / 'photos'}")
        report = inline.pop("report/index.html"), beside.pop("report/index.html")  # it has the photos' names, if there are any
        self.assertNotEqual(*report)
        self.assertEqual(inline, beside)

    def test_a_folder_is_read_as_the_command_line_reads_it(self):
        folder = self.directory / "mixed"
        (folder / "more").mkdir(parents=True)
        for file in sorted((self.directory / "photos").glob("*.png")):
            (folder / file.name).write_bytes(file.read_bytes())
            (folder / "more" / file.name).write_bytes(file.read_bytes())
        (folder / "notes.md").write_text("no photo")
        (folder / "01.txt").write_bytes(b"\xef\xbb\xbfa {subject} on a sofa\r\n")
        first = next(file for file in sorted(folder.glob("*.png")))
        first.rename(folder / "01.png")
        self.run_job(service.fine_tune_job([], steps=1), "mixed-out", f"--photos={folder}")
        subject = json.loads((self.directory / "mixed-out/job.json").read_text())["fineTune"]["subjects"][0]
        self.assertEqual(len(subject["photos"]), len(self.photos))
        self.assertEqual(subject["photos"][0].get("caption"), "a {subject} on a sofa")

    def test_stopped_and_run_again_it_gives_the_same_bytes(self):
        job = service.fine_tune_job(self.photos, steps=60, batch_size=2, checkpoint_every_steps=5)
        undisturbed = self.run_job(job, "undisturbed")
        process = subprocess.Popen(self.command(job, "stopped"), stderr=subprocess.DEVNULL)
        service.wait_until((self.directory / "stopped/checkpoint.json").exists, what="a checkpoint")
        process.send_signal(signal.SIGTERM)
        self.assertNotEqual(process.wait(20), 0)
        record = json.loads((self.directory / "stopped/checkpoint.json").read_text())
        self.assertLess(int(record["step"]), 60)
        other = service.fine_tune_job(self.photos, steps=61, batch_size=2, checkpoint_every_steps=5)
        refused = subprocess.run(self.command(other, "stopped"), capture_output=True, text=True, timeout=60)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("checkpoint.json", refused.stderr)
        self.assertNotIn("training", refused.stderr)
        self.assertEqual(self.run_job(job, "stopped"), undisturbed)

    def judged(self):
        """Puts evaluators beside the models for the length of a test."""
        shutil.copytree(self.directory / "evaluators", self.directory / "models/evaluators")
        self.addCleanup(shutil.rmtree, self.directory / "models/evaluators")

    def test_a_model_of_an_earlier_job_is_judged(self):
        self.judged()
        self.run_job(service.fine_tune_job(self.photos), "judged-first")
        job = service.job_pb2.Job()
        job.evaluate.model.name = "tenants/default/models/rex"
        job.evaluate.prompts.extend(["a {subject} in the snow", "a {subject}"])
        job.evaluate.seed, job.evaluate.steps, job.evaluate.images_per_prompt = 1, 2, 1
        model = f"--model={self.directory / 'judged-first/model'}"
        files = self.run_job(job, "judged", f"--photos={self.directory / 'photos'}", model)
        self.assertLessEqual({"report/evaluation.json", "report/index.html", "samples/0001.png"}, set(files))
        record = json.loads((self.directory / "judged/job.json").read_text())
        self.assertLessEqual({"dino", "clip_t", "pres", "pres_before"}, set(record["metrics"]))
        missing = subprocess.run(self.command(job, "judged-not", f"--photos={self.directory / 'photos'}"), capture_output=True,
                                 text=True, timeout=60)
        self.assertEqual(missing.returncode, 2)
        self.assertIn("--model is given 0 times; the job uses 1", missing.stderr)

    def test_killed_while_steps_are_judged_it_makes_the_same_model(self):
        self.judged()
        job = service.fine_tune_job(self.photos, steps=20, batch_size=2, checkpoint_every_steps=4,
                                    stop_rule=fine_tune_pb2.STOP_RULE_BEST)
        undisturbed = self.run_job(job, "best")
        record = json.loads((self.directory / "best/job.json").read_text())
        self.assertIn(record["metrics"]["best_step"], (4, 8, 12, 16, 20))
        card = json.loads(undisturbed["model/likeness_card.json"])
        self.assertEqual([scored["step"] for scored in card["scores"]], [4, 8, 12, 16, 20])
        process = subprocess.Popen(self.command(job, "best-killed"), stderr=subprocess.DEVNULL)
        service.wait_until((self.directory / "best-killed/checkpoint.json").exists, what="a checkpoint")
        process.kill()
        process.wait()
        self.assertEqual(self.run_job(job, "best-killed"), undisturbed)

    def test_without_evaluators_no_step_is_best_and_nothing_is_trained(self):
        job = service.fine_tune_job(self.photos, stop_rule=fine_tune_pb2.STOP_RULE_BEST)
        job.fine_tune.base_model = "baseModels/tiny"  # there may be more by now
        ran = subprocess.run(self.command(job, "unjudged"), capture_output=True, text=True, timeout=60)
        self.assertEqual(ran.returncode, 1)
        self.assertIn("STOP_RULE_BEST", ran.stderr)
        self.assertFalse((self.directory / "unjudged/checkpoint.json").exists())

    def test_the_personalized_model_can_be_offered_as_any_other(self):
        self.run_job(service.fine_tune_job(self.photos), "rex")
        (self.directory / "rex/model").rename(self.directory / "models/rex")
        files = self.run_job(service.generate_job(["a zwx dog"], "baseModels/rex", seed=0), "drawn")
        self.assertIn("samples/0000.png", files)

    def test_a_base_file_that_no_output_can_be_named_after_is_refused_before_training(self):
        odd = self.directory / "odd/tiny"
        shutil.copytree(self.directory / "models/tiny", odd)
        (odd / "unet/notes (1).txt").write_text("x")
        command = [f"--models={odd.parent}" if str(word).startswith("--models=") else word
                   for word in self.command(service.fine_tune_job(self.photos), "odd-out")]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 1)
        self.assertIn("notes (1).txt", result.stderr)
        self.assertNotIn("training", result.stderr)

    def test_killed_at_a_checkpoint_it_goes_on_to_the_same_bytes(self):
        job = service.fine_tune_job(self.photos, steps=60, batch_size=2, checkpoint_every_steps=1)
        undisturbed = self.run_job(job, "unkilled")
        for _ in range(3):  # wherever it just is in replacing its checkpoint
            process = subprocess.Popen(self.command(job, "killed"), stderr=subprocess.PIPE, text=True)
            next((line for line in process.stderr if line.startswith("training")), None)
            service.wait_until((self.directory / "killed/checkpoint.json").exists, what="a checkpoint")
            process.kill()
            process.communicate()
        self.assertEqual(self.run_job(job, "killed"), undisturbed)
        self.assertFalse(list((self.directory / "killed").glob("checkpoint*")))

    def test_a_model_made_of_links_is_asked_for_as_it_is_called_and_makes_a_whole_one(self):
        odd = self.directory / "models/sd 1.5 (fp16)"
        odd.mkdir()
        self.addCleanup(shutil.rmtree, odd)
        for part in (self.directory / "models/tiny").iterdir():
            (odd / part.name).symlink_to(part, target_is_directory=part.is_dir())
        stray = self.directory / "models/stray.ckpt"
        stray.write_bytes(b"x")
        self.addCleanup(stray.unlink)
        job = service.fine_tune_job(self.photos)
        job.fine_tune.base_model = "baseModels/sd 1.5 (fp16)"
        files = self.run_job(job, "odd")
        self.assertLessEqual({"model/vae/diffusion_pytorch_model.safetensors", "model/tokenizer/vocab.json",
                              "model/scheduler/scheduler_config.json", "samples/0001.png"}, set(files))

    def test_unknown_fields_and_models_are_named(self):
        for text, clue in [('{"fineTune": {"sweets": 3}}', "sweets"), ("no JSON", "not a Job"),
                           ('{"generate": {"model": {"name": "baseModels/none"}, "prompts": ["x"]}}', "baseModels/none"),
                           ('{"generate": {"model": {"name": "baseModels/tiny"}, "prompts": ["x"], "sampler": "magic"}}', "magic")]:
            file = self.directory / "bad.json"
            file.write_text(text)
            command = self.command(service.job_pb2.Job(), "bad-out")
            command[2] = f"--job={file}"
            result = subprocess.run(command, capture_output=True, text=True, timeout=30)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(clue, result.stderr)

    def test_contact_sheet_shows_rows(self):
        sheet = self.directory / "sheet.png"
        photos = ",".join(str(file) for file in sorted((self.directory / "photos").glob("*.png")))
        subprocess.run([service.BIN / "likeness-worker", "contact-sheet", f"--out={sheet}", "--title=A page",
                        f'--row="a dog", photographed={photos}', f"--row=again={photos}"], check=True)
        self.assertGreater(Image.open(io.BytesIO(sheet.read_bytes())).width, 3 * 64)

    def test_no_worker_is_not_healthy(self):
        port, = service.free_ports(1)
        result = subprocess.run([service.BIN / "likeness-worker", "healthcheck", f"--metrics-address=127.0.0.1:{port}"],
                                capture_output=True, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertIn("nothing listens", result.stderr)


if __name__ == "__main__":
    unittest.main()
