"""Input that only a worker can judge: pictures that do not decode, tokens, model directories."""
import io
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import unittest
import zlib

import numpy
from PIL import Image, ImageCms, ImageFilter

import service
from service import State


def png_of(size, colour=(200, 30, 30)):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "png")
    return out.getvalue()


def p3_profile():
    """The profile of a wide colour space: sRGB's with the primaries of P3 (red, green and blue for D50)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for tag, xyz in ((b"rXYZ", (.51512, .24120, -.00105)), (b"gXYZ", (.29198, .69225, .04189)), (b"bXYZ", (.15710, .06657, .78407))):
        place, = struct.unpack_from(">I", profile, profile.index(tag) + 4)
        struct.pack_into(">3i", profile, place + 8, *(round(65536 * value) for value in xyz))
    name = profile.index("sRGB built-in".encode("utf-16-be"))
    profile[name:name + 26] = "P3, by a test".encode("utf-16-be")
    return bytes(profile)


class BadJobs(service.JobTest):
    def assert_failed(self, job, code, reason, field=None, text=""):
        done = self.end(job)
        self.assertEqual(done.state, State.JOB_STATE_FAILED, done)
        self.assertEqual(done.attempt, 1, "wrong input is not tried again")
        self.assertEqual(done.error.code, code.value[0], done.error)
        self.assertEqual(service.error_reason(done.error), reason, done.error)
        if field:
            self.assertEqual(service.error_fields(done.error), [field])
        self.assertIn(text, done.error.message)
        self.assertFalse(done.outputs)

    def test_a_picture_corrupt_in_its_middle_is_named(self):
        broken = bytearray(png_of((64, 64)))
        name = broken.index(b"IDAT")
        broken[name + 4:name + 16] = bytes(12)
        job = service.fine_tune_job(self.photos[:2] + [bytes(broken)])
        with self.assertRaises(service.grpc.RpcError) as refused:  # before anybody waits for a worker
            self.service.create(job)
        self.assertEqual(service.error_reason(refused.exception), "PHOTO_DAMAGED")
        # One whose checksum is that of its garbled pixels takes a decoder.
        end = name + 4 + struct.unpack(">I", broken[name - 4:name])[0]
        broken[end:end + 4] = struct.pack(">I", zlib.crc32(broken[name:end]))
        job = service.fine_tune_job(self.photos[:2] + [bytes(broken)])
        self.assert_failed(job, service.grpc.StatusCode.INVALID_ARGUMENT, "PHOTO_UNUSABLE",
                           "job.fine_tune.subjects[0].photos[2]")

    def test_a_jpeg_that_was_cut_and_closed_again_is_named_and_its_decoder_logged(self):
        out = io.BytesIO()
        Image.effect_noise((128, 128), 80).convert("RGB").save(out, "jpeg")
        half = out.getvalue()[:len(out.getvalue()) // 2] + b"\xff\xd9"
        name = self.service.create(service.fine_tune_job(self.photos[:2] + [half])).name
        done = self.service.wait(name)
        self.assertEqual(service.error_fields(done.error), ["job.fine_tune.subjects[0].photos[2]"], done.error)
        self.assertIn("damaged", done.error.message)
        line = next(line for line in self.worker.log_text().splitlines() if "premature end" in line)
        self.assertIn(f"job={name}", line)
        self.assertIn("photo=photos[2]", line)

    def test_photos_of_another_colour_space_are_converted_and_named(self):
        photos = list(self.photos)
        for number in (0, 2):
            out = io.BytesIO()
            Image.open(io.BytesIO(photos[number])).save(out, "png", icc_profile=p3_profile())
            photos[number] = out.getvalue()
        done = self.end(service.fine_tune_job(photos, steps=1))
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        self.assertIn("photos[0], photos[2]: colours converted from P3, by a test to sRGB", done.warnings)

    def test_blurred_and_repeated_photos_are_told_before_a_job_is_made_and_by_it(self):
        def photo(seed, blur=0, quality=90):
            random = numpy.random.default_rng(seed)
            picture = Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=numpy.uint8)).resize((240, 240), Image.NEAREST)
            out = io.BytesIO()
            picture.filter(ImageFilter.GaussianBlur(blur)).save(out, "jpeg", quality=quality)
            return out.getvalue()

        photos = [photo(1), photo(2, blur=5), photo(3), photo(1, quality=50)]
        folder = self.service.directory / "odd-photos"
        folder.mkdir()
        for number, bytes in enumerate(photos):
            (folder / f"{number}.jpg").write_bytes(bytes)
        checked = subprocess.run([service.BIN / "likeness", "train", "--class=dog", f"--photos={folder}", "--check",
                                  f"--server={self.service.address}"], capture_output=True, text=True, timeout=60)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        for said in ("1.jpg looks blurred", "0.jpg, ", "3.jpg are nearly the same photo"):
            self.assertIn(said, checked.stderr)
        done = self.end(service.fine_tune_job(photos))
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        self.assertIn("photos[1] looks blurred; sharp photos are learned better", done.warnings)
        self.assertTrue(any(warning.startswith("photos[0], photos[3] are nearly the same") for warning in done.warnings), done.warnings)

    def test_a_crop_box_beyond_the_picture_is_named(self):
        job = service.fine_tune_job(self.photos)
        box = job.fine_tune.subjects[0].photos[1].crop_box
        box.left, box.top, box.width, box.height = 40, 0, 64, 64
        self.assert_failed(job, service.grpc.StatusCode.INVALID_ARGUMENT, "PHOTO_UNUSABLE",
                           "job.fine_tune.subjects[0].photos[1]")

    def test_a_token_of_several_pieces_is_refused_when_one_is_required(self):
        job = service.fine_tune_job(self.photos)
        job.fine_tune.subjects[0].token = "qqq"
        job.fine_tune.subjects[0].require_single_token = True
        self.assert_failed(job, service.grpc.StatusCode.INVALID_ARGUMENT, "TOKEN_NOT_SINGLE",
                           "job.fine_tune.subjects[0].token", "3 tokens")

    def test_a_token_of_several_pieces_is_allowed_otherwise(self):
        job = service.fine_tune_job(self.photos, steps=1)
        job.fine_tune.subjects[0].token = "qqq"
        self.assertEqual(self.end(job).state, State.JOB_STATE_SUCCEEDED)

    def test_a_common_word_as_token_is_a_warning(self):
        job = service.fine_tune_job(self.photos, steps=1)
        job.fine_tune.subjects[0].token = "red"
        done = self.end(job)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        self.assertTrue(any('"red"' in warning for warning in done.warnings), done.warnings)

    def test_one_small_photo_is_two_warnings(self):
        done = self.end(service.fine_tune_job([png_of((48, 40))], steps=1))
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        self.assertTrue(any("small" in warning for warning in done.warnings), done.warnings)
        self.assertTrue(any("1 photo" in warning for warning in done.warnings), done.warnings)

    def test_odd_but_good_pictures_are_learned_from(self):
        photos = []
        for mode in ("L", "RGBA", "I;16"):
            out = io.BytesIO()
            Image.new(mode, (80, 70)).save(out, "png")
            photos.append(out.getvalue())
        out = io.BytesIO()
        Image.new("RGB", (90, 64), (9, 99, 9)).save(out, "webp")
        self.assertEqual(self.end(service.fine_tune_job(photos + [out.getvalue()], steps=1)).state,
                         State.JOB_STATE_SUCCEEDED)

    def test_prompts_of_any_kind_are_drawn(self):
        prompts = ["", "\U0001f436 in the \U00002744", "a dog\u200d", "dog " * 240]
        done = self.end(service.generate_job(prompts, "baseModels/tiny", steps=1))
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        self.assertEqual(len(done.outputs), len(prompts))

    def test_a_loss_that_is_not_finite_stops_the_job(self):
        job = service.fine_tune_job(self.photos, steps=50, learning_rate=1.0, max_grad_norm=0)
        job.fine_tune.samples.ClearField("prompts")
        done = self.end(job)
        if done.state == State.JOB_STATE_FAILED:  # it may also survive: then it says so
            self.assertIn("loss", done.error.message)


class BadModels(unittest.TestCase):
    """Each damaged directory is named at start-up and not offered; the good one beside it is."""

    @classmethod
    def setUpClass(cls):
        cls.service = service.Service()
        cls.addClassCleanup(cls.service.close)
        cls.good = cls.service.models / "tiny"

    def damaged(self, name):
        copy = self.service.models / name
        shutil.copytree(self.good, copy)
        return copy

    @staticmethod
    def rewrite(file, change):
        """Changes a safetensors file through change(header, data) -> data."""
        raw = file.read_bytes()
        size = struct.unpack("<Q", raw[:8])[0]
        header, data = json.loads(raw[8:8 + size]), raw[8 + size:]
        data = change(header, data)
        text = json.dumps(header).encode()
        file.write_bytes(struct.pack("<Q", len(text)) + text + data)

    def test_damaged_directories_are_named_and_not_offered(self):
        unet = "unet/diffusion_pytorch_model.safetensors"

        def rename(header, data):
            header["conv_in.weights"] = header.pop("conv_in.weight")
            return data

        def reshape(header, data):
            header["conv_out.bias"]["shape"] = [2, 2]
            return data

        def add(header, data):
            header["stray.weight"] = {"dtype": "F32", "shape": [1], "data_offsets": [len(data), len(data) + 4]}
            return data + bytes(4)

        self.rewrite(self.damaged("missing-key") / unet, rename)
        self.rewrite(self.damaged("wrong-shape") / unet, reshape)
        self.rewrite(self.damaged("extra-key") / unet, add)
        cut = self.damaged("cut-header") / unet
        cut.write_bytes(cut.read_bytes()[:100])
        pickle = self.damaged("pickle") / unet
        pickle.rename(pickle.with_name("diffusion_pytorch_model.bin"))
        shutil.rmtree(self.damaged("no-text-encoder") / "text_encoder")
        self.damaged(os.fsdecode(b"caf\xe9"))  # nothing is wrong with it but its name

        worker = self.service.start_worker("strict")
        self.service.wait_for_models()
        offered = self.service.capabilities.GetCapabilities(
            service.capabilities_service_pb2.GetCapabilitiesRequest()).base_models
        self.assertEqual(sorted(model.display_name for model in offered), ["caf?", "tiny"])
        self.assertIn("not UTF-8", worker.log_text())
        lines = [line for line in worker.log_text().splitlines() if "model not offered" in line]
        for directory, clue in [("missing-key", "conv_in.weight"), ("wrong-shape", "conv_out.bias"),
                                ("extra-key", "stray.weight"), ("cut-header", "diffusion_pytorch_model.safetensors"),
                                ("pickle", "safetensors"), ("no-text-encoder", "text_encoder")]:
            line = next((line for line in lines if f"directory={directory}" in line), "")
            self.assertIn(clue, line, f"{directory}: {lines}")

    def test_a_worker_without_a_usable_model_says_so_and_ends(self):
        empty = self.service.directory / "empty"
        empty.mkdir()
        result = subprocess.run([service.BIN / "likeness-worker", "serve", f"--server={self.service.address}",
                                 f"--models={empty}", f"--cache-dir={self.service.directory / 'c'}",
                                 "--metrics-address="], capture_output=True, text=True, timeout=30)
        self.assertEqual(result.returncode, 1)
        self.assertIn("no usable model", result.stderr)


class WrongUse(unittest.TestCase):
    def test_a_directory_that_cannot_be_written_in_is_named_with_its_flag(self):
        with tempfile.TemporaryDirectory() as directory:
            job, file = pathlib.Path(directory, "job.json"), pathlib.Path(directory, "file")
            job.write_text("{}")
            file.write_text("no directory")
            Image.new("RGB", (64, 64)).save(f"{directory}/0.png")
            run = ("run", f"--job={job}")
            for flag, arguments in {
                    f"--cache-dir={file}": ("serve", "--rehearse", "--metrics-address="),
                    f"--cache-dir={file}/below": (*run, f"--out={directory}/out"),
                    f"--out={file}": (*run, f"--cache-dir={directory}/cache"),
                    f"--out={file}/sheet.png": ("contact-sheet", f"--row=All={directory}/0.png")}.items():
                result = self.run_worker(*arguments, flag)
                self.assertEqual(result.returncode, 1, flag)
                self.assertIn("Not a directory", result.stderr)
                self.assertIn(flag if arguments[0] != "contact-sheet" else str(file), result.stderr)

    def run_worker(self, *arguments, program="likeness-worker"):
        return subprocess.run([service.BIN / program, *arguments], capture_output=True, text=True, timeout=30)

    def test_every_command_has_help(self):
        self.assertIn("serve", self.run_worker("--help").stdout)
        for program, commands in {"likeness-worker": ("serve", "run", "healthcheck", "contact-sheet", "convert"),
                                  "likeness-mini": ("pretrain", "draw-subject", "draw-pairs", "measure")}.items():
            for command in commands:
                result = self.run_worker(command, "--help", program=program)
                self.assertEqual((result.returncode, f"Usage: {program}" in result.stdout), (0, True), command)

    def test_results_that_cannot_be_written_are_an_error(self):
        for program, argument in [("likeness-worker", "--help"), ("likeness-worker", "--version"),
                                  ("likeness-server", "help"), ("likeness-server", "--version")]:
            with open("/dev/full", "w") as full:
                result = subprocess.run([service.BIN / program, argument], stdout=full, stderr=subprocess.PIPE,
                                        text=True, timeout=30)
            self.assertEqual(result.returncode, 1, program)
            self.assertIn("cannot write to stdout", result.stderr)

    def test_what_is_wrong_is_named(self):
        for arguments, text in [(["fly"], '"fly"'), (["serve", "--modles=x"], "models"),
                                (["run", "--out=x"], "--job"), (["serve", "--device=tpu"], "cuda:N"),
                                (["serve", "--threads=100000"], "1024"), (["serve", "--cache-bytes=-1"], "--cache-bytes"),
                                (["serve", "--name=two words"], "--name"), (["serve", "--labels=ZONE=a"], "ZONE")]:
            result = self.run_worker(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertIn(text, result.stderr)
        for arguments, text in [([], "a command is needed"), (["fly"], '"fly"'),
                                (["draw-subject", "--class=unicorn", "--out=/tmp"], "dog")]:
            result = self.run_worker(*arguments, program="likeness-mini")
            self.assertEqual(result.returncode, 2, arguments)
            self.assertIn(text, result.stderr)
            self.assertTrue(result.stderr.startswith("likeness-mini: "), result.stderr)


if __name__ == "__main__":
    unittest.main()
