"""A rehearsing worker: whole jobs without a model, as the example programs and the command line drive them."""
import json
import os
import subprocess
import sys
import unittest

import service
from likeness.v1 import export_pb2, job_pb2, model_service_pb2, model_service_pb2_grpc

EXAMPLES = service.ROOT / "client/examples"
State = service.State


class Rehearsal(unittest.TestCase):
    def setUp(self):
        self.service = service.Service()
        self.addCleanup(self.service.close)
        self.worker = self.service.start_worker("rehearsing", models=self.service.directory / "none", flags=["--rehearse"])
        self.service.wait_for_models()
        self.photos = self.service.directory / "photos"
        service.draw_photos(self.photos)

    def photo_bytes(self):
        return [file.read_bytes() for file in sorted(self.photos.glob("*.png"))]

    def run_client(self, *command):
        environment = dict(os.environ, LIKENESS_SERVER=self.service.address)
        environment["PATH"] = os.pathsep.join([str(service.BIN), str(service.ROOT / ".venv/bin"), environment["PATH"]])
        result = subprocess.run([str(part) for part in command], env=environment, cwd=self.service.directory,
                                capture_output=True, text=True, timeout=100)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def assert_rehearsed(self, name):
        job = self.service.get(name)
        self.assertEqual(job.state, State.JOB_STATE_SUCCEEDED)
        self.assertTrue(job.rehearsed)
        self.assertTrue(any("rehearsal" in warning for warning in job.warnings), job.warnings)

    def test_the_command_line_trains_and_draws(self):
        out = self.service.directory / "by-cli"
        self.run_client("likeness", "train", "--class=dog", f"--photos={self.photos}", "--name=by-cli",
                        "--prompt=a {subject} in the snow", "--wait", f"--out={out}")
        self.assertTrue((out / "contact-sheet.png").exists(), list(out.rglob("*")))
        self.run_client("likeness", "generate", "--model=by-cli", "a {subject}", "--images=2", f"--out={out}/more")
        pictures = sorted((out / "more").rglob("*.png"))
        self.assertEqual(len(pictures), 2)
        self.run_client("likeness", "replay", pictures[1], f"--out={out}/again.png")
        self.assertEqual((out / "again.png").read_bytes(), pictures[1].read_bytes())
        self.assert_rehearsed("tenants/default/jobs/by-cli")

    def test_grpcurl_alone(self):
        out = self.service.directory / "by-grpcurl"
        self.run_client("bash", EXAMPLES / "grpcurl.sh", self.photos, out)
        self.assertTrue((out / "picture.png").stat().st_size > 0)
        self.assert_rehearsed(json.loads((out / "created.json").read_text())["name"])

    def test_the_python_example(self):
        out = self.service.directory / "by-python"
        self.run_client(sys.executable, EXAMPLES / "python/personalize.py", self.photos, out, "--class=dog")
        self.assertTrue(list(out.rglob("*.png")))

    def test_events_come_as_in_earnest(self):
        job = service.fine_tune_job(self.photo_bytes(), steps=100)
        job.fine_tune.previews.every_steps = 50
        job.fine_tune.subjects[0].validation_photos.add(inline=self.photo_bytes()[0])
        name = self.service.create(job).name
        events = list(self.service.watch(name))
        self.assertEqual([event.sample.step for event in events if event.HasField("sample")], [50, 100])
        self.assertTrue(any(event.progress.training.loss > 0 for event in events))
        job = self.service.get(name)
        self.assertEqual(job.progress.measurements.validation_loss, job.metrics["validation_loss_after"])
        self.assertEqual(job.resolved.fine_tune.training.steps, 100)
        self.assertEqual(len(job.outputs), 1 + 2 + 1 + 2)  # card, images, sheet, previews
        self.service.outputs(job)
        models = model_service_pb2_grpc.ModelServiceStub(self.service.channel)
        self.assertTrue(models.GetModel(model_service_pb2.GetModelRequest(name=job.output_model)).rehearsed)

    def test_a_preview_comes_before_the_pictures(self):
        name = self.service.create(service.generate_job(["a dog"], steps=20, preview_every_steps=5)).name
        samples = [event.sample for event in self.service.watch(name) if event.HasField("sample")]
        self.assertEqual([(sample.step, sample.prompt) for sample in samples], [(5, "a dog")])
        self.assertFalse(samples[0].HasField("output"))
        self.assertTrue(samples[0].preview)

    def test_a_judgement_is_rehearsed_too(self):
        trained = self.service.wait(self.service.create(service.fine_tune_job(self.photo_bytes())).name)
        job = job_pb2.Job()
        job.evaluate.model.name = trained.output_model
        job.evaluate.photos.add(inline=self.photo_bytes()[0])
        job.evaluate.gallery.add(inline=self.photo_bytes()[1])
        done = self.service.wait(self.service.create(job).name)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        self.assertTrue(done.rehearsed)
        self.assertIn("dino", done.metrics)
        self.assertEqual(done.metrics["rank_first_chance"], 0.5)
        self.assertIn("report/evaluation.json", self.service.outputs(done))

    def test_exports_and_imports_are_rehearsed_too(self):
        header = b'{"qq":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
        job = job_pb2.Job()
        job.import_model.inline = len(header).to_bytes(8, "little") + header + bytes(4)
        job.import_model.class_noun = "dog"
        imported = self.service.wait(self.service.create(job).name)
        self.assertEqual((imported.state, imported.rehearsed), (State.JOB_STATE_SUCCEEDED, True), imported)
        self.assertEqual(imported.resolved.import_model.token, "sks")
        job = job_pb2.Job()
        job.export_model.model.adapters.add(model=imported.output_model)
        job.export_model.format = export_pb2.EXPORT_FORMAT_LORA
        exported = self.service.wait(self.service.create(job).name)
        self.assertEqual(exported.state, State.JOB_STATE_SUCCEEDED, exported)
        self.assertEqual(exported.resolved.export_model.rank, 16)
        self.assertEqual(set(self.service.outputs(exported)), {"export/likeness_card.json"})
        self.assertEqual(len(self.service.create(job, validate_only=True).estimates), 1)

    def test_what_was_resolved_keeps_the_adapters_of_its_prompts(self):
        job = service.fine_tune_job(self.photo_bytes())
        job.fine_tune.lora.rank = 4
        trained = self.service.wait(self.service.create(job, job_id="rex").name)
        prompt = "a dog <lora:rex:0.5> at sea"
        drawing = service.generate_job([prompt], trained.resolved.fine_tune.base_model, steps=4, prompt_adapters=True)
        done = self.service.wait(self.service.create(drawing).name)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        self.assertEqual(list(done.resolved.generate.prompts), [prompt])

    def test_what_was_measured_is_told_before_the_next_job(self):
        job = service.fine_tune_job(self.photo_bytes())
        self.assertEqual(len(self.service.create(job, validate_only=True).estimates), 0)
        done = self.service.wait(self.service.create(job).name)
        self.assertGreater(done.worker_duration.ToTimedelta().total_seconds(), 0)
        estimate, = self.service.create(job, validate_only=True).estimates
        self.assertEqual(estimate.device, "rehearsal")
        self.assertEqual(estimate.measured_jobs, 1)
        self.assertGreater(estimate.worker_duration.ToTimedelta().total_seconds(), 0)
        phases = {phase.phase for phase in estimate.phases}
        self.assertTrue({job_pb2.JOB_PHASE_CLASS_IMAGES, job_pb2.JOB_PHASE_TRAINING, job_pb2.JOB_PHASE_SAMPLING} <= phases)
        job.fine_tune.subjects[0].class_noun = "cat"  # other class images
        self.assertEqual(len(self.service.create(job, validate_only=True).estimates), 1)

    def test_a_photo_that_cannot_be_used_fails_the_job_as_in_earnest(self):
        job = service.fine_tune_job(self.photo_bytes())
        box = job.fine_tune.subjects[0].photos[1].crop_box  # beside the photo
        box.left, box.top, box.width, box.height = 10000, 0, 64, 64
        job = self.service.wait(self.service.create(job).name)
        self.assertEqual(job.state, State.JOB_STATE_FAILED)
        self.assertEqual(service.error_reason(job.error), "PHOTO_UNUSABLE")

    def test_a_worker_in_earnest_refuses_a_rehearsed_model(self):
        job = self.service.wait(self.service.create(service.fine_tune_job(self.photo_bytes())).name)
        self.assertEqual(job.state, State.JOB_STATE_SUCCEEDED, job)
        self.worker.terminate()
        self.service.start_worker("earnest")
        drawn = self.service.wait(self.service.create(service.generate_job(["a {subject}"], job.output_model)).name)
        self.assertEqual(drawn.state, State.JOB_STATE_FAILED)
        self.assertIn("rehearsing worker", drawn.error.message)
        self.assertFalse(drawn.rehearsed)


if __name__ == "__main__":
    unittest.main()
