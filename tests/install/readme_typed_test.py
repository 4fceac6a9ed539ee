"""README.md typed line by line, in order, on a machine with nothing on it: every line works.

Needs root, debootstrap and an hour; bare_root.py says what can be set. LIKENESS_README_SHORT=1: what the tests need is installed in
place of `scripts/test`, which takes most of the hour.
"""
import os
import pty
import re
import select
import subprocess
import sys
import time
import unittest

import bare_root
import readme


class Terminal:
    """A bash on a terminal in the root."""

    def __init__(self, root, folder):
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            command = root.command(f"cd {folder} && stty -echo cols 120 && exec bash --norc --noediting -i")
            os.execvpe(command[0], command, os.environ)
        # The prompt says how each line ended. A further line typed ahead may be read by what the first one runs.
        self.type("PS1='<<$?>>' PS2=")

    def type(self, line, seconds=5400):
        """What it prints and its exit code."""
        os.write(self._terminal, f"{line}\n".encode())
        shown, deadline = b"", time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([self._terminal], [], [], 1)[0]:
                shown += os.read(self._terminal, 65536)
            if ended := re.search(rb"<<(\d+)>>", shown):
                return shown[:ended.start()].decode(errors="replace"), int(ended.group(1))
        raise AssertionError(f"{line}: still runs after {seconds} s\n{shown[-3000:].decode(errors='replace')}")

    def close(self):
        os.kill(self._pid, 9)
        os.waitpid(self._pid, 0)
        os.close(self._terminal)


class ReadmeTyped(unittest.TestCase):
    def test_every_line_works(self):
        root = bare_root.BareRoot()
        self.addCleanup(root.close)
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", f"file://{readme.ROOT}", root.path / "root/likeness"], check=True)
        terminal = Terminal(root, "/root/likeness")
        self.addCleanup(terminal.close)
        short = os.environ.get("LIKENESS_README_SHORT") == "1"
        for line in readme.commands():
            if short and line.startswith("scripts/test "):
                line = "scripts/setup --tests"
            began = time.monotonic()
            shown, code = terminal.type(line)
            print(f"{time.monotonic() - began:8.1f} s  {line}", file=sys.stderr, flush=True)
            self.assertEqual(code, 0, f"{line}\n{shown[-4000:]}")
            self.assertNotIn("command not found", shown, line)


if __name__ == "__main__":
    unittest.main()
