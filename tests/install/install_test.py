"""`cmake --install` into a prefix: the programs run from there alone, and what it brings is what it says."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LIKENESS_BUILD_DIR", ROOT / "build/release"))


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="likeness-install-"))
        made = cls.folder / "made"
        subprocess.run(["cmake", "--install", BUILD, "--prefix", made], check=True, capture_output=True)
        cls.prefix = cls.folder / "moved"  # the whole may be moved
        made.rename(cls.prefix)
        cls.installed_as = made

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def run_program(self, program, *arguments):
        return subprocess.run([self.prefix / "bin" / program, *arguments], check=True, capture_output=True, text=True,
                              env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin"}, cwd=self.folder).stdout

    def test_programs_run(self):
        versions = {self.run_program(program, "--version") for program in ("likeness", "likeness-server", "likeness-worker")}
        self.assertEqual(len(versions), 1)
        self.assertRegex(versions.pop(), r"^\d+\.\d+\.\d+\n$")

    def test_the_worker_takes_libtorch_from_the_prefix(self):
        linked = subprocess.run(["ldd", self.prefix / "bin/likeness-worker"], check=True, capture_output=True, text=True).stdout
        self.assertNotIn("not found", linked)
        for library in ("libtorch_cpu.so", "libc10.so", "libgomp.so.1"):
            self.assertIn(f"{self.prefix}/bin/../lib/likeness/{library}", linked)
        self.assertNotIn(".venv", linked)

    def test_the_worker_finds_the_models_of_the_prefix(self):
        self.assertIn(f"[{self.prefix}/share/likeness/models]", " ".join(self.run_program("likeness-worker", "serve", "--help").split()))
        self.assertTrue((self.prefix / "share/likeness/models/mini/unet").is_dir())

    def test_units_start_what_is_installed(self):
        for service in ("server", "worker"):
            unit = (self.prefix / f"lib/systemd/system/likeness-{service}.service").read_text()
            command = re.search(r"^ExecStart=(\S+)", unit, re.M).group(1)
            self.assertEqual(command, f"{self.installed_as}/bin/likeness-{service}")
            user = re.search(r"^User=(.*)$", unit, re.M).group(1)
            self.assertIn(f"u {user} ", (self.prefix / f"lib/sysusers.d/likeness-{service}.conf").read_text())

    def test_every_command_has_a_page(self):
        pages = {page.name for page in (self.prefix / "share/man/man1").iterdir()}
        commands = set(re.findall(r"^  ([a-z]+)  +[A-Z]", self.run_program("likeness", "help"), re.M)) - {"help"}
        self.assertGreater(len(commands), 12)
        wanted = {f"likeness-{command}.1" for command in commands}
        self.assertEqual(pages, wanted | {"likeness.1", "likeness-server.1", "likeness-worker.1"})
        page = (self.prefix / "share/man/man1/likeness-train.1").read_text()
        self.assertIn("learning\\-rate", page)

    def test_completion_scripts_lie_where_shells_look(self):
        for file, shell in (("bash-completion/completions/likeness", "bash"), ("zsh/site-functions/_likeness", "zsh"),
                            ("fish/vendor_completions.d/likeness.fish", "fish")):
            self.assertEqual((self.prefix / "share" / file).read_text(), self.run_program("likeness", "completion", shell))

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed (scripts/setup --tests installs it)")
    def test_zsh_finds_its_completion_in_the_usual_prefixes(self):
        looks_into = subprocess.run(["zsh", "-fc", "print -l $fpath"], check=True, capture_output=True, text=True).stdout.split("\n")
        for prefix, folder in (("/usr/local", "site-functions"), ("/usr", "vendor-completions")):
            root = self.folder / "root"
            subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix, "--component", "client"], check=True, capture_output=True,
                           env={**os.environ, "DESTDIR": str(root)})
            script = f"{prefix}/share/zsh/{folder}"
            self.assertTrue((root / script[1:] / "_likeness").is_file())
            self.assertIn(script, looks_into)
            self.assertIn(f"{script}/_likeness", (BUILD / "install_manifest_client.txt").read_text(), "--uninstall removes it")

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed (scripts/setup --tests installs it)")
    def test_fish_finds_its_completion_in_the_usual_prefixes(self):
        home = self.folder / "home"
        looks_into = subprocess.run(["fish", "-c", "string join \\n $fish_complete_path"], check=True, capture_output=True, text=True,
                                    env={"HOME": str(home), "PATH": os.environ["PATH"]}).stdout.split("\n")
        root = self.folder / "fish-root"
        for prefix, folder in (("/usr/local", "/etc/fish/completions"), ("/usr", "/usr/share/fish/vendor_completions.d"),
                               (f"{home}/.local", f"{home}/.local/share/fish/vendor_completions.d")):
            subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix, "--component", "client"], check=True, capture_output=True,
                           env={**os.environ, "DESTDIR": str(root)})
            self.assertTrue((root / folder[1:] / "likeness.fish").is_file(), folder)
            self.assertIn(folder, looks_into)
            self.assertIn(f"{folder}/likeness.fish", (BUILD / "install_manifest_client.txt").read_text())
        self.assertFalse((root / "usr/local/share/fish").exists())

    def test_uninstalling_leaves_nothing_of_it_and_all_else(self):
        prefix = self.folder / "other"
        shutil.copytree(self.prefix, prefix, ignore=shutil.ignore_patterns("lib*.so*", "*.safetensors"))
        installed = (BUILD / "install_manifest.txt").read_text().replace(str(self.installed_as), str(prefix))
        (prefix / "share/likeness/installed-files.txt").write_text(installed)
        (prefix / "bin/another").write_text("of somebody else")
        subprocess.run([ROOT / "scripts/install", "--uninstall", prefix], check=True, capture_output=True)
        self.assertEqual([path for path in prefix.rglob("*") if path.is_file()], [prefix / "bin/another"])
        self.assertEqual({path.name for path in prefix.iterdir()}, {"bin"})
        self.assertNotEqual(subprocess.run([ROOT / "scripts/install", "--uninstall", prefix], capture_output=True).returncode, 0)


if __name__ == "__main__":
    unittest.main()
