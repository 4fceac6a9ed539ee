"""`likeness-worker convert`, there and back: a checkpoint in one file, a diffusers directory, and the same file once more."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "parity"))
import files_parity_test  # noqa: E402
import parity  # noqa: E402
from parity import load_file, torch  # noqa: E402

import service  # noqa: E402


def convert(source, to, *flags):
    return subprocess.run([service.BIN / "likeness-worker", "convert", f"--from={source}", f"--to={to}", *flags],
                          capture_output=True, text=True, timeout=60)


class Convert(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.directory = pathlib.Path(temporary.name)
        parity.save_random_pipeline(cls.directory, files_parity_test.SIZES["Stable Diffusion 1"])
        shutil.copytree(cls.directory / "model/tokenizer", cls.directory / "tokenizer")
        cls.file = cls.directory / "one.safetensors"
        made = convert(cls.directory / "model", cls.file)
        assert made.returncode == 0, made.stderr

    def assert_same(self, ours, theirs):
        self.assertEqual(ours.keys(), theirs.keys())
        self.assertEqual([key for key in ours if ours[key].dtype != theirs[key].dtype or not torch.equal(ours[key], theirs[key])], [])

    def test_there_and_back_every_tensor_is_the_same(self):
        again, back = self.directory / "again", self.directory / "back.safetensors"
        made = convert(self.file, again)
        self.assertEqual(made.returncode, 0, made.stderr)
        made = convert(again, back)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assert_same(load_file(back), load_file(self.file))
        for part in ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"):
            ours, theirs = (load_file(root / f"{part}.safetensors") for root in (again, self.directory / "model"))
            # Versions of transformers differ in whether a tower's keys begin with its name.
            self.assert_same(*({key.removeprefix("text_model."): value for key, value in tensors.items()} for tensors in (ours, theirs)))

    def test_a_file_in_half_precision_is_as_asked_for(self):
        half = self.directory / "half.safetensors"
        made = convert(self.directory / "model", half, "--dtype=fp16")
        self.assertEqual(made.returncode, 0, made.stderr)
        whole = load_file(self.file)
        self.assert_same(load_file(half), {key: value.to(torch.float16) for key, value in whole.items()})

    def test_what_cannot_be_converted_is_said_and_leaves_nothing(self):
        out = self.directory / "out"
        for source, flags, clue in [(self.file, ["--dtype=fp16"], "written with the dtypes of the file"),
                                    (self.directory / "model", ["--prediction-type=epsilon"], "says what its model predicts"),
                                    (self.file, ["--prediction-type=sample"], "epsilon or v_prediction is allowed"),
                                    (self.directory / "none.safetensors", [], "none.safetensors")]:
            with self.subTest(clue=clue):
                made = convert(source, out, *flags)
                self.assertNotEqual(made.returncode, 0)
                self.assertIn(clue, made.stderr)
                self.assertFalse(out.exists())


if __name__ == "__main__":
    unittest.main()
