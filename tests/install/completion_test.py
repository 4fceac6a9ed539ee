"""Completion in real shells: what bash, zsh and fish offer when Tab is pressed behind a command line."""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("LIKENESS_BUILD_DIR", ROOT / "build/release")) / "bin"


def script(shell):
    return subprocess.run([BIN / "likeness", "completion", shell], check=True, capture_output=True, text=True).stdout


def needs(shell):
    return unittest.skipUnless(shutil.which(shell), f"{shell} is not installed (scripts/setup --tests installs it)")


class Completion(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="likeness-completion-")
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        (self.path / "rex photos").mkdir()
        (self.path / "job.json").write_text("{}")
        (self.path / "10:30.json").write_text("{}")
        self.environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(self.path), "LANG": "C.UTF-8", "TERM": "xterm",
                            "LIKENESS_SERVER": "127.0.0.1:1", "XDG_CONFIG_HOME": str(self.path)}
        subprocess.run([BIN / "likeness", "config", "set", "prod", "--server=127.0.0.1:2"], check=True, capture_output=True,
                       env=self.environment)

    def run_shell(self, *command, **more):
        return subprocess.run(command, check=True, capture_output=True, text=True, env=self.environment, cwd=self.path,
                              timeout=30, **more).stdout

    @needs("bash")
    def test_bash(self):
        def offered(line):
            """What _likeness puts into COMPREPLY, with the words as readline parts them."""
            words = re.findall(r"[=:]+|[^\s=:]+", line) + ([""] if line[-1] == " " else [])
            code = script("bash") + f"""
compopt() {{ :; }}
COMP_WORDS=({" ".join(repr(word) for word in words)}) COMP_CWORD={len(words) - 1}
_likeness
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
            return self.run_shell("bash", "-c", code).split("\n")[:-1]

        self.assertEqual(offered("likeness tra"), ["train"])
        self.assertIn("--class-images", offered("likeness train --cla"))
        self.assertEqual(offered("likeness train --precision "), ["fp32", "bf16", "fp16", "bf16_weights"])
        self.assertEqual(offered("likeness train --precision=b"), ["bf16", "bf16_weights"])
        self.assertEqual(offered("likeness train --precision="), ["fp32", "bf16", "fp16", "bf16_weights"])
        self.assertIn("rex photos", offered("likeness train --photos re"))
        self.assertNotIn("job.json", offered("likeness train --photos "))
        self.assertEqual(offered("likeness create -f jo"), ["job.json"])
        self.assertEqual(offered("likeness config use "), ["prod"])
        self.assertEqual(offered("likeness --server 127.0.0.1:1 config use "), ["prod"])
        self.assertEqual(offered("likeness --server=127.0.0.1:1 config use "), ["prod"])
        self.assertEqual(offered("likeness create -f 10:3"), ["30.json"], "what stands behind the last break alone")
        self.assertEqual(offered("likeness create --file=10:3"), ["30.json"])

    @needs("fish")
    def test_fish(self):
        (self.path / "likeness.fish").write_text(script("fish"))

        def offered(line):
            shown = self.run_shell("fish", "--no-config", "-c", f"source likeness.fish; complete -C {line!r}")
            return [word.split("\t")[0] for word in shown.splitlines()]

        self.assertEqual(offered("likeness tra"), ["train"])
        self.assertIn("--class-images", offered("likeness train --cla"))
        self.assertEqual(sorted(offered("likeness train --precision ")), ["bf16", "bf16_weights", "fp16", "fp32"])
        self.assertEqual(offered("likeness train --precision=b"), ["--precision=bf16", "--precision=bf16_weights"])
        self.assertEqual(offered("likeness train --photos re"), ["rex photos/"])
        self.assertIn("job.json", offered("likeness create -f jo"))
        self.assertEqual(offered("likeness config use "), ["prod"])

    @needs("zsh")
    def test_zsh(self):
        """Zsh completes at a prompt alone: on a terminal, where Tab is pressed."""
        (self.path / ".zshrc").write_text("autoload -Uz compinit; compinit -u; PS1='%% '; unsetopt beep\n"
                                          "zstyle ':completion:*' list-prompts ''\nLISTMAX=0\n" + script("zsh"))

        def after_tab(line, wanted, seconds=60):
            """What the screen shows, colours and moves aside, once Tab was pressed and `wanted` has come, or has not for long."""
            child, terminal = pty.fork()
            if child == 0:
                os.chdir(self.path)
                os.execvpe("zsh", ["zsh", "-i"], {**self.environment, "ZDOTDIR": str(self.path)})
            try:
                def read_until(text):
                    shown, deadline = b"", time.monotonic() + seconds
                    while time.monotonic() < deadline:
                        if select.select([terminal], [], [], 0.05)[0]:
                            shown += os.read(terminal, 65536)
                        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|[\r\x07\x08]", "", shown.decode(errors="replace"))
                        if text in plain:
                            break
                    return plain

                read_until("% ")
                os.write(terminal, line.encode() + b"\t")
                return read_until(wanted)
            finally:
                os.kill(child, 9)
                os.waitpid(child, 0)
                os.close(terminal)

        for line, completed in (("likeness tra", "likeness train "),
                                ("likeness train --precision b", "likeness train --precision bf16"),
                                ("likeness train --precision=b", "--precision=bf16"),
                                ("likeness train --photos re", "--photos rex\\ photos"),
                                ("likeness create -f jo", "-f job.json"),
                                ("likeness config use ", "use prod")):
            self.assertIn(completed, after_tab(line, completed))


if __name__ == "__main__":
    unittest.main()
