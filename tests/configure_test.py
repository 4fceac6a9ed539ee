"""What is built without the tests can be configured: nothing in the build names a test that is not there."""
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]


class ConfigureTest(unittest.TestCase):
    def configure(self, *flags):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", *flags], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_images_build(self):
        said = re.search(r"cmake --preset release((?: -D\w+=\w+)+)", (ROOT / "Dockerfile").read_text())
        self.assertIn("-DLIKENESS_TESTS=OFF", said[1])
        self.configure("-DCMAKE_BUILD_TYPE=Release", *said[1].split())

    def test_the_engines_build(self):
        self.configure("-DCMAKE_BUILD_TYPE=Release", "-DLIKENESS_ENGINE_ONLY=ON", "-DLIKENESS_TESTS=OFF")


if __name__ == "__main__":
    unittest.main()
