"""Drawing from a picture, within a mask, with weights and long prompts: over gRPC, by the command line, and without a server."""
import io
import json
import os
import pathlib
import subprocess
import unittest

import numpy
from google.protobuf import json_format
from PIL import Image

import service
from service import State
from likeness.v1 import fine_tune_pb2


def png(array):
    out = io.BytesIO()
    Image.fromarray(array.astype(numpy.uint8)).save(out, "png")
    return out.getvalue()


def ramp(width=64, height=64):
    values = numpy.linspace(0, 255, width)
    return png(numpy.broadcast_to(values[None, :, None], (height, width, 3)))


def right_half(width=64, height=64):
    return png(numpy.broadcast_to(numpy.where(numpy.arange(width) < width // 2, 0, 255)[None, :, None], (height, width, 3)))


def pixels(picture):
    return numpy.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), dtype=float)


def drawing(image=None, mask=None, strength=None, prompt="a dog", **settings):
    job = service.generate_job([prompt], seed=5, **settings)
    start = job.generate.image_to_image
    if image:
        start.image.inline = image
    if mask:
        start.mask.inline = mask
    if strength is not None:
        start.strength = strength
    return job


class Drawing(service.JobTest):
    def draw(self, job):
        done = self.end(job)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        return done, self.service.outputs(done)["samples/0000.png"]

    def refusal(self, job):
        with self.assertRaises(service.grpc.RpcError) as refused:
            self.service.create(job)
        self.assertEqual(refused.exception.code(), service.grpc.StatusCode.INVALID_ARGUMENT)
        details = dict(refused.exception.trailing_metadata())["grpc-status-details-bin"]
        return (service.error_fields(service.status_pb2.Status.FromString(details))[0],
                service.error_reason(refused.exception))

    def test_the_strength_says_how_much_is_changed(self):
        done, weak = self.draw(drawing(ramp(), strength=0.1, steps=10))
        self.assertTrue(done.generate.image_to_image.image.blob)
        _, strong = self.draw(drawing(ramp(), strength=0.9, steps=10))
        _, weaker = self.draw(drawing(ramp(), strength=0.2, steps=10))
        far, near = (numpy.abs(pixels(weak) - pixels(other)).mean() for other in (strong, weaker))
        self.assertLess(near, far)
        done, _ = self.draw(drawing(ramp()))
        self.assertEqual(done.resolved.generate.image_to_image.strength, 0.8)
        # The image is kept as long as the job, and the record draws the same once more.
        again = service.job_pb2.Job(generate=done.resolved.generate)
        self.assertEqual(self.draw(again)[1], self.draw(drawing(ramp()))[1])

    def test_what_is_black_in_the_mask_stays(self):
        _, kept = self.draw(drawing(ramp(), strength=0.1, steps=10))
        _, whole = self.draw(drawing(ramp(), strength=1, steps=10))
        _, part = self.draw(drawing(ramp(), right_half(), 1, steps=10))
        left = lambda picture: pixels(picture)[:, :24]
        self.assertLess(numpy.abs(left(part) - left(kept)).mean(), numpy.abs(left(whole) - left(kept)).mean())

    def test_the_image_is_scaled_and_cut_to_what_is_drawn(self):
        # 128 x 64: the middle half is drawn from.
        wide = numpy.concatenate([numpy.zeros((64, 32, 3)), pixels(ramp()), numpy.zeros((64, 32, 3))], 1)
        self.assertEqual(self.draw(drawing(png(wide), strength=0.4, steps=5))[1],
                         self.draw(drawing(ramp(), strength=0.4, steps=5))[1])
        boxed = drawing(png(wide), strength=0.4, steps=5)
        box = boxed.generate.image_to_image.image.crop_box
        box.left, box.width, box.height = 32, 64, 64
        self.assertEqual(self.draw(boxed)[1], self.draw(drawing(ramp(), strength=0.4, steps=5))[1])
        done, picture = self.draw(drawing(png(wide), strength=0.4, steps=5, width=128, height=64))
        self.assertEqual(pixels(picture).shape, (64, 128, 3))

    def test_what_cannot_be_used_is_named_before_anybody_waits(self):
        path = "job.generate.image_to_image"
        unknown = drawing()
        unknown.generate.image_to_image.image.blob = f"tenants/default/blobs/{'0' * 64}"
        boxed = drawing(ramp(), right_half())
        boxed.generate.image_to_image.mask.crop_box.width = boxed.generate.image_to_image.mask.crop_box.height = 32
        told = service.generate_job(["a dog"])
        told.generate.micro_conditioning.original_width = 1024  # of a model that is told of no sizes
        for job, field, reason in [
                (told, "job.generate.micro_conditioning", "OUT_OF_RANGE"),
                (drawing(strength=0.5), f"{path}.image", "PHOTO_EMPTY"),
                (drawing(b"GIF89a"), f"{path}.image.inline", "PHOTO_UNSUPPORTED_FORMAT"),
                (drawing(ramp()[:100]), f"{path}.image.inline", "PHOTO_TRUNCATED"),
                (unknown, f"{path}.image.blob", "BLOB_NOT_FOUND"),
                (drawing(ramp(), strength=0.0), f"{path}.strength", "OUT_OF_RANGE"),
                (drawing(ramp(), strength=1.5), f"{path}.strength", "OUT_OF_RANGE"),
                (drawing(ramp(), strength=float("nan")), f"{path}.strength", "NOT_A_NUMBER"),
                (drawing(ramp(), right_half(64, 72)), f"{path}.mask", "MASK_SIZE_DIFFERS"),
                (boxed, f"{path}.mask.crop_box", "OUT_OF_RANGE"),
                (service.generate_job(["a dog"], clip_skip=9), "job.generate.clip_skip", "OUT_OF_RANGE"),
                (service.generate_job(["a dog"], guidance_rescale=1.1), "job.generate.guidance_rescale", "OUT_OF_RANGE"),
                (service.generate_job(["a dog"], sampler="euler", eta=0.5), "job.generate.eta", "OUT_OF_RANGE"),
                (service.generate_job(["a dog", "a (dog:1.2.3)"], prompt_weights=True), "job.generate.prompts[1]",
                 "OUT_OF_RANGE"),
                (service.generate_job(["a dog"], negative_prompt="(red:999)", prompt_weights=True),
                 "job.generate.negative_prompt", "OUT_OF_RANGE")]:
            with self.subTest(field=field, reason=reason):
                self.assertEqual(self.refusal(job), (field, reason))

    def test_what_only_the_worker_can_tell_is_named_too(self):
        done = self.end(drawing(ramp(), strength=0.0005))  # of steps that the base model says
        self.assertEqual(done.state, State.JOB_STATE_FAILED, done)
        self.assertEqual(service.error_fields(done.error), ["job.generate.image_to_image.strength"], done.error)
        self.assertEqual(done.attempt, 1)

    def test_weights_and_the_end_of_a_long_prompt_count_where_they_are_asked_for(self):
        plain = self.draw(service.generate_job(["a dog"], seed=5))[1]
        for setting in ("prompt_weights", "long_prompts"):
            self.assertEqual(self.draw(service.generate_job(["a dog"], seed=5, **{setting: True}))[1], plain)
        weighted = [self.draw(service.generate_job([f"a (dog:{weight})"], seed=5, prompt_weights=True))[1] for weight in (1.0, 1.5)]
        self.assertEqual(weighted[0], plain)
        self.assertNotEqual(weighted[1], plain)
        long = " ".join(["a dog in the snow"] * 5)
        done, cut = self.draw(service.generate_job([long + " red"], seed=5))
        self.assertIn("change nothing", " ".join(done.warnings))
        self.assertEqual(cut, self.draw(service.generate_job([long + " cat"], seed=5))[1])
        done, read = self.draw(service.generate_job([long + " red"], seed=5, long_prompts=True))
        self.assertEqual(list(done.warnings), [])
        self.assertNotEqual(read, self.draw(service.generate_job([long + " cat"], seed=5, long_prompts=True))[1])

    def test_clip_skip_and_guidance_rescale_are_drawn_with(self):
        done, plain = self.draw(service.generate_job(["a dog"], seed=5))
        self.assertEqual((done.resolved.generate.clip_skip, done.resolved.generate.guidance_rescale), (0, 0))
        self.assertTrue(done.resolved.generate.HasField("clip_skip"))
        for setting in (dict(clip_skip=1), dict(guidance_rescale=0.7)):
            self.assertNotEqual(self.draw(service.generate_job(["a dog"], seed=5, **setting))[1], plain)
        done = self.end(service.generate_job(["a dog"], seed=5, clip_skip=8))
        self.assertEqual(done.error.code, service.grpc.StatusCode.INVALID_ARGUMENT.value[0], done)
        self.assertIn("clip_skip", done.error.message)

    def test_eta_is_drawn_with_where_the_sampler_has_it(self):
        done, plain = self.draw(service.generate_job(["a dog"], seed=5, sampler="ddim"))
        self.assertTrue(done.resolved.generate.HasField("eta"))
        self.assertEqual(done.resolved.generate.eta, 0)
        done, drawn = self.draw(service.generate_job(["a dog"], seed=5, sampler="ddim", eta=0.5))
        self.assertEqual(done.resolved.generate.eta, 0.5)
        self.assertNotEqual(drawn, plain)
        self.assertFalse(self.draw(service.generate_job(["a dog"], sampler="euler"))[0].resolved.generate.HasField("eta"))

    def test_the_command_line_and_an_offline_run_draw_the_same(self):
        job = drawing(ramp(), right_half(), 0.7, steps=6, clip_skip=1, guidance_rescale=0.5, prompt_weights=True,
                      long_prompts=True, prompt="a (dog:1.3) in the snow")
        _, wanted = self.draw(job)
        directory = pathlib.Path(self.service.directory)
        (directory / "ramp.png").write_bytes(ramp())
        (directory / "half.png").write_bytes(right_half())
        command = [service.BIN / "likeness", "generate", "a (dog:1.3) in the snow", "--seed=5", "--steps=6", "--clip-skip=1",
                   "--guidance-rescale=0.5", "--prompt-weights", "--long-prompts", f"--image={directory}/ramp.png",
                   f"--mask={directory}/half.png", "--strength=0.7", f"--out={directory}/by-cli"]
        environment = dict(os.environ, LIKENESS_SERVER=self.service.address)
        subprocess.run(command, check=True, capture_output=True, timeout=60, env=environment)
        self.assertEqual([service.bare(file.read_bytes()) for file in (directory / "by-cli").glob("*.png")], [wanted])

        job.generate.model.name = "baseModels/tiny"
        (directory / "job.json").write_text(json_format.MessageToJson(job))
        run = lambda file, out, *flags: subprocess.run(
            [service.BIN / "likeness-worker", "run", f"--job={directory / file}", f"--out={directory / out}",
             f"--models={self.service.models}", f"--cache-dir={directory}/cache", "--threads=1", "--device=cpu", *flags],
            check=True, capture_output=True, timeout=60)
        run("job.json", "offline")
        self.assertEqual(service.bare((directory / "offline/samples/0000.png").read_bytes()), wanted)
        # Its record draws the same once more, with the pictures beside it.
        resolved = json.loads((directory / "offline/job.json").read_text())["resolved"]
        (directory / "record.json").write_text(json.dumps(resolved))
        (directory / "beside").mkdir()
        for name in ("ramp.png", "half.png"):
            (directory / name).rename(directory / "beside" / name)
        run("record.json", "again", f"--photos={directory}/beside")
        self.assertEqual(service.bare((directory / "again/samples/0000.png").read_bytes()), wanted)

    def test_previews_are_seen_while_pictures_are_drawn(self):
        for start in (None, ramp()):
            job = drawing(start, steps=40, width=128)
            job.generate.images_per_prompt, job.generate.preview_every_steps = 3, 3
            created = self.service.create(job)
            samples = [event.sample for event in self.service.watch(created.name) if event.WhichOneof("event") == "sample"]
            done = self.service.wait(created.name)
            self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
            self.assertEqual(done.resolved.generate.preview_every_steps, 3)
            self.assertTrue(samples)
            for sample in samples:
                self.assertEqual(sample.step % 3, 0)
                self.assertIn(sample.step, range(1, 40))
                self.assertEqual((sample.prompt, sample.HasField("output")), ("a dog", False))
                self.assertLessEqual(len(sample.preview), 64 << 10)
                self.assertEqual(Image.open(io.BytesIO(sample.preview)).size, (3 * 128, 64))
            self.assertEqual(len(done.outputs), 3)
            # They change no picture.
            job.generate.preview_every_steps = 0
            _, plain = self.draw(job)
            self.assertEqual(self.service.outputs(done)["samples/0000.png"], plain)
        job.generate.preview_every_steps, job.generate.images_per_prompt, job.generate.steps = 1, 64, 999
        refused = self.end(job)
        self.assertEqual(service.error_fields(refused.error), ["job.generate.preview_every_steps"], refused)

    def test_a_preview_of_several_prompts_names_them_from_left_to_right(self):
        job = service.generate_job(["a dog", "a cat"], "baseModels/tiny", seed=5, steps=40, width=128, preview_every_steps=3)
        created = self.service.create(job)
        samples = [event.sample for event in self.service.watch(created.name) if event.WhichOneof("event") == "sample"]
        self.assertTrue(samples)
        for sample in samples:
            self.assertEqual(sample.prompt, "a dog | a cat")
            self.assertEqual(Image.open(io.BytesIO(sample.preview)).size[0], 2 * 128)
        self.assertEqual([output.prompt for output in self.service.wait(created.name).outputs], ["a dog", "a cat"])

    def test_the_command_line_keeps_the_newest_preview_while_it_draws(self):
        out = pathlib.Path(self.service.directory) / "previewed"
        command = [service.BIN / "likeness", "generate", "a dog", "--steps=200", "--seed=5", "--preview-every=2", f"--out={out}"]
        drawn = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60,
                               env=dict(os.environ, LIKENESS_SERVER=self.service.address))
        self.assertIn("-> " + str(out / "preview.jpg"), drawn.stderr)
        self.assertEqual([file.name for file in out.rglob("*") if file.is_file()], ["0000.png"])

    def test_a_job_says_in_which_precision_it_is_drawn(self):
        done, whole = self.draw(service.generate_job(["a dog"], seed=5))
        self.assertEqual(done.resolved.generate.precision, fine_tune_pb2.PRECISION_FP32)
        done = self.end(service.generate_job(["a dog"], seed=5, precision=fine_tune_pb2.PRECISION_BF16))
        flags = pathlib.Path("/proc/cpuinfo").read_text().split()
        if not {"avx512_bf16", "amx_bf16"} & set(flags):
            self.assertEqual(service.error_fields(done.error), ["job.generate.precision"], done)
            return
        self.assertEqual((done.state, done.metrics["drawing_precision_bits"]), (State.JOB_STATE_SUCCEEDED, 16), done)
        self.assertEqual(done.resolved.generate.precision, fine_tune_pb2.PRECISION_BF16)
        rounded = self.service.outputs(done)["samples/0000.png"]
        self.assertGreater(numpy.abs(pixels(whole) - pixels(rounded)).max(), 0)
        self.assertLess(numpy.abs(pixels(whole) - pixels(rounded)).mean(), 4)
        # The next job draws as the worker was started.
        self.assertEqual(self.draw(service.generate_job(["a dog"], seed=5))[1], whole)

    def test_a_worker_draws_in_bfloat16_where_its_processor_computes_in_it(self):
        directory = pathlib.Path(self.service.directory)
        (directory / "plain.json").write_text(json_format.MessageToJson(service.generate_job(["a dog"], "baseModels/tiny", seed=5)))
        run = lambda out, precision: subprocess.run(
            [service.BIN / "likeness-worker", "run", f"--job={directory}/plain.json", f"--out={directory / out}",
             f"--models={self.service.models}", f"--cache-dir={directory}/cache", "--threads=1", "--device=cpu",
             f"--generation-precision={precision}"], capture_output=True, text=True, timeout=60)
        bits = lambda out: json.loads((directory / out / "job.json").read_text())["metrics"]["drawing_precision_bits"]
        self.assertEqual(run("whole", "fp32").returncode, 0)
        self.assertEqual(bits("whole"), 32)
        refused = run("none", "fp16")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("--generation-precision=fp16: fp32 and bf16 are allowed", refused.stderr)
        flags = pathlib.Path("/proc/cpuinfo").read_text().split()
        rounded = run("rounded", "bf16")
        if not {"avx512_bf16", "amx_bf16"} & set(flags):
            self.assertEqual(rounded.returncode, 2)
            self.assertIn("no instructions for bfloat16", rounded.stderr)
            return
        self.assertEqual(rounded.returncode, 0, rounded.stderr)
        self.assertEqual(bits("rounded"), 16)
        picture = lambda out: pixels((directory / out / "samples/0000.png").read_bytes())
        self.assertGreater(numpy.abs(picture("whole") - picture("rounded")).max(), 0)
        self.assertLess(numpy.abs(picture("whole") - picture("rounded")).mean(), 4)

    def test_the_command_line_says_what_is_wrong_with_its_files(self):
        directory = pathlib.Path(self.service.directory)
        (directory / "whole.png").write_bytes(ramp())
        (directory / "cut.png").write_bytes(ramp()[:100])
        environment = dict(os.environ, LIKENESS_SERVER=self.service.address)
        for flags, clue in [(["--strength=0.5"], "--strength needs --image"), (["--mask=x.png"], "--mask needs --image"),
                            ([f"--image={directory}/cut.png"], "ends"), ([f"--image={directory}/none.png"], "none.png"),
                            ([f"--image={directory}/whole.png", "--strength=2"], "--strength")]:
            result = subprocess.run([service.BIN / "likeness", "generate", "a dog", *flags], capture_output=True, text=True,
                                    timeout=60, env=environment)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(clue, result.stderr)


if __name__ == "__main__":
    unittest.main()
