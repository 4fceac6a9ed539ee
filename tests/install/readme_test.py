"""Every command line of README.md names a program, a command, flags, files and methods that are there.

readme_typed_test.py types them, on a machine with nothing on it.
"""
import os
import pathlib
import re
import shlex
import subprocess
import unittest

import readme

ROOT = readme.ROOT
BIN = pathlib.Path(os.environ.get("LIKENESS_BUILD_DIR", ROOT / "build/release")) / "bin"
MADE = {"job.json", "state", "packages", "out"}  # by a line before


def words_of(line):
    """Of each command of a line, its words; redirections and what runs in the background aside."""
    for part in re.split(r"\s&&\s|\s\|\s", line):
        words = shlex.split(part, comments=True)
        if ">" in words:
            words = words[:words.index(">")]
        if "<" in words:
            words = words[:words.index("<")]
        yield [word for word in words if word != "&"]


def help_of(program, command):
    return subprocess.run([BIN / program, *command, "--help"], check=True, capture_output=True, text=True).stdout


class Readme(unittest.TestCase):
    def test_has_commands(self):
        self.assertGreater(len(readme.commands()), 10)

    def test_programs_commands_and_flags_are_there(self):
        for line in readme.commands():
            for words in words_of(line):
                with self.subTest(line):
                    self.check(words)

    def check(self, words):
        program = words[0]
        flags = [word.split("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)]
        if program.startswith("likeness"):
            commands = [word for word in words[1:2] if re.fullmatch(r"[a-z][a-z-]*", word)]
            text = help_of(program, commands)
            for flag in flags:
                self.assertRegex(text, rf"(?m)^  {flag}\b|, {flag}$")
            if commands:
                self.assertIn(commands[0], help_of(program, []))
        elif program.startswith(("scripts/", "client/")):
            self.assertTrue(os.access(ROOT / program, os.X_OK), program)
            for flag in flags:
                self.assertIn(flag, (ROOT / program).read_text())
        elif program == "grpcurl":
            service, method = words[-1].removeprefix("likeness.v1.").split("/")
            protos = "".join(file.read_text() for file in (ROOT / "proto/likeness/v1").glob("*.proto"))
            self.assertRegex(protos, rf"(?s)service {service} \{{.*?rpc {method}\(")
        elif "python" in program:
            for flag in flags:
                self.assertIn(f'"{flag}"', (ROOT / words[1]).read_text())
        else:
            self.assertIn(program, ("export", "apt", "apt-get"), "a program that this test does not know")
        if program != "grpcurl":
            for word in words[1:]:
                if re.fullmatch(r"[a-z][\w./-]*/[\w./-]+", word) and word.split("/")[0] not in MADE:
                    self.assertTrue((ROOT / word).exists(), word)


if __name__ == "__main__":
    unittest.main()
