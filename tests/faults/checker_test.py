"""Each promise of promises/ is seen to be broken, and kept, by a history of its own (promises_test/)."""
import pathlib
import sys
import unittest

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))
import promises  # noqa: E402


class EveryCheckTest(unittest.TestCase):
    def test_every_check_is_seen_to_fail(self):
        text = "".join(path.read_text() for path in (FOLDER / "promises_test").glob("*_test.py"))
        for check in promises.CHECKS:
            self.assertIn(f'"{check.__name__}"', text)


def load_tests(loader, tests, _):
    tests.addTests(loader.discover(str(FOLDER / "promises_test"), "*_test.py"))
    return tests


if __name__ == "__main__":
    unittest.main()
