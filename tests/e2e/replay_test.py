"""Pictures say how they were drawn, and are drawn again from that: the same file, to the byte."""
import io
import json
import os
import pathlib
import subprocess
import unittest

import numpy
from PIL import Image

import service
from service import State


def opened(data):
    return Image.open(io.BytesIO(data))


def record_of(data):
    return json.loads(opened(data).text["likeness"])


class Replay(service.JobTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.directory = pathlib.Path(cls.service.directory)
        job = service.fine_tune_job(cls.photos)
        job.fine_tune.lora.rank = 4
        cls.lora = cls.service.wait(cls.service.create(job, job_id="rex").name)
        cls.whole = cls.service.wait(cls.service.create(service.fine_tune_job(cls.photos), job_id="tom").name)

    def files(self, job):
        done = self.end(job)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        return self.files_of(done)

    def files_of(self, done):
        return {output.path: self.service.read_blob(output.blob) for output in done.outputs}

    def replay(self, data, *flags):
        file = self.directory / "picture.png"
        file.write_bytes(data)
        out = self.directory / "drawn-again.png"
        out.unlink(missing_ok=True)
        done = subprocess.run([service.BIN / "likeness", "replay", file, f"--out={out}", *flags], capture_output=True, text=True,
                              timeout=60, env=dict(os.environ, LIKENESS_SERVER=self.service.address))
        return done, out.read_bytes() if out.exists() else None

    def assert_same(self, data, *flags):
        done, again = self.replay(data, *flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("the same file", done.stderr)
        self.assertEqual(again, data)

    def test_a_picture_of_a_batch_is_drawn_again_to_the_byte(self):
        job = service.generate_job(["a dog", "a {subject} in the snow, (red:1.2)"], "baseModels/tiny", seed=2**32 - 3, steps=5,
                                   images_per_prompt=5, sampler="euler_ancestral", guidance=4.5, negative_prompt="größer",
                                   clip_skip=1, guidance_rescale=0.25, prompt_weights=True, width=72)
        job.generate.model.adapters.add(model=self.lora.output_model, strength=0.7)
        files = self.files(job)
        self.assertEqual(len(files), 10)
        for number in (0, 4, 6, 9):  # 4 to 7 share a batch: one of the first prompt, three of the second
            with self.subTest(number=number):
                data = files[f"samples/{number:04}.png"]
                record = record_of(data)
                self.assertEqual(record["batch"], {"size": 4 if number < 8 else 2, "position": number % 4})
                self.assertEqual(record["generate"]["prompts"], ["a dog" if number < 5 else "a zwx dog in the snow, (red:1.2)"])
                self.assertEqual(record["generate"]["seed"], (2**32 - 3 + number) % 2**32)
                self.assert_same(data)

    def test_the_noise_of_eta_is_drawn_again(self):
        files = self.files(service.generate_job(["a dog"], "baseModels/tiny", seed=9, steps=4, sampler="ddim", eta=0.6))
        data = files["samples/0000.png"]
        self.assertEqual(record_of(data)["generate"]["eta"], 0.6)
        self.assert_same(data)

    def test_a_prompts_own_adapter_is_drawn_with_again(self):
        job = service.generate_job(["a dog", "a {subject} <lora:rex:0.5> at sea"], "baseModels/tiny", seed=1, steps=4)
        job.generate.prompt_adapters = True
        files = self.files(job)
        data = files["samples/0001.png"]
        self.assertEqual([(adapter["id"], adapter["strength"]) for adapter in record_of(data)["adapters"]], [("rex", 0.5)])
        self.assertNotIn("adapters", record_of(files["samples/0000.png"]))
        self.assertEqual(opened(data).text["parameters"].split("\n")[0], "a zwx dog at sea <lora:rex:0.5>")
        self.assert_same(data)

    def test_drawn_alone_it_is_the_same_but_for_rounding(self):
        data = self.files(service.generate_job(["a cat"], "baseModels/tiny", seed=7, steps=4, images_per_prompt=3))["samples/0002.png"]
        done, again = self.replay(data, "--alone", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["path"], str(self.directory / "drawn-again.png"))
        self.assertEqual(record_of(again)["batch"], {"size": 1, "position": 0})
        pictures = [numpy.asarray(opened(picture), dtype=int) for picture in (data, again)]
        self.assertLessEqual(numpy.abs(pictures[0] - pictures[1]).max(), 1)

    def test_samples_of_fine_tunes_are_drawn_again_with_what_was_made(self):
        for done in (self.lora, self.whole):
            data = self.files_of(done)["samples/0000.png"]
            self.assertEqual(opened(data).text["parameters"].split("\n")[0].split(" <")[0], "a zwx dog in the snow")
            self.assert_same(data)

    def test_a_picture_from_a_picture_is_drawn_again_while_the_server_has_that(self):
        start = self.directory / "sea.png"
        Image.fromarray(numpy.arange(64 * 64 * 3, dtype=numpy.uint8).reshape(64, 64, 3)).save(start)
        job = service.generate_job(["a dog"], "baseModels/tiny", seed=3, steps=4)
        job.generate.image_to_image.image.inline = start.read_bytes()
        job.generate.image_to_image.image.file_name = "holiday.png"
        job.generate.image_to_image.strength = 0.5
        data = self.files(job)["samples/0000.png"]
        self.assertNotIn(b"holiday", data)
        self.assertNotIn(b"tenants/", data)
        self.assert_same(data)
        self.assert_same(data, f"--image={start}")

    def test_other_programs_read_the_settings(self):
        data = self.files(service.generate_job(["a dog"], self.whole.output_model, seed=7, steps=4, sampler="DPM++ 2M Karras",
                                               negative_prompt="rain"))["samples/0000.png"]
        lines = opened(data).text["parameters"].split("\n")
        self.assertEqual(lines[:2], ["a dog", "Negative prompt: rain"])
        self.assertTrue(lines[2].startswith("Steps: 4, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 7, "
                                            "Size: 64x64, Model hash: "), lines[2])
        self.assertIn("Model: tom, ", lines[2])
        self.assertEqual(record_of(data)["model"]["id"], "tom")

    def test_what_cannot_be_the_same_picture_is_refused(self):
        done, _ = self.replay(b"\x89PNG\r\n\x1a\n")
        self.assertEqual(done.returncode, 2)
        self.assertIn("does not say how it was drawn", done.stderr)

        job = service.fine_tune_job(self.photos)
        job.fine_tune.previews.every_steps = 2
        previews = [data for path, data in self.files(job).items() if path.startswith("previews/")]
        done, _ = self.replay(previews[0])
        self.assertEqual(done.returncode, 2)
        self.assertIn("after 2 training steps", done.stderr)

        # A record of another base, as if the base's files had changed since.
        data = self.files(service.generate_job(["a dog"], "baseModels/tiny", seed=3, steps=2))["samples/0000.png"]
        record = record_of(data)
        record["base_model"]["digest"] = "0" * 64
        from PIL import PngImagePlugin
        texts = PngImagePlugin.PngInfo()
        texts.add_text("likeness", json.dumps(record))
        other = io.BytesIO()
        opened(data).save(other, "png", pnginfo=texts)
        done, _ = self.replay(other.getvalue())
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("is not the model that drew the picture any more", done.stderr)
        done, again = self.replay(other.getvalue(), "--anyway")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(again, data)


if __name__ == "__main__":
    unittest.main()
