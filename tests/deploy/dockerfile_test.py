"""The Dockerfile, and the LibTorch that it takes: what is pinned, and what the images' programs need."""
import os
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LIKENESS_BUILD_DIR", ROOT / "build/release"))
# A build with a sanitizer has no worker: LibTorch is not built for it.
with_all_programs = unittest.skipUnless((BUILD / "bin/likeness-worker").exists(), "not all programs are built here")


class Torch(unittest.TestCase):
    def test_every_byte_of_the_wheels_is_pinned_by_its_digest(self):
        for name in ("torch", "torch-cpu", "torch-cuda"):
            lines = [line for line in (ROOT / f"scripts/{name}.txt").read_text().splitlines() if not line.startswith("#")]
            for line in lines:
                self.assertRegex(line, r"^[a-z0-9-]+==[\w.+]+ --hash=sha256:[0-9a-f]{64}$")
            packages = [line.split("==")[0] for line in lines]
            self.assertEqual("torch" in packages, name != "torch")
            self.assertEqual(len(packages), len(set(packages)))

    def test_a_wheel_of_another_digest_is_not_installed(self):
        setup = (ROOT / "scripts/setup").read_text()
        for name in ("torch", "torch-cpu", "torch-cuda"):
            self.assertRegex(setup, rf"(?m)^ *pip .*--require-hashes -r scripts/{name}\.txt")

    def test_both_builds_are_of_one_version(self):
        versions = {re.search(r"^torch==([\d.]+)", (ROOT / f"scripts/{name}.txt").read_text(), re.M)[1]
                    for name in ("torch-cpu", "torch-cuda")}
        self.assertEqual(len(versions), 1)


def installed_dependencies():
    """Of each installed package, what it depends on."""
    listed = subprocess.run(["dpkg-query", "-W", "-f", "${Package}\t${Depends}, ${Pre-Depends}\n"], check=True,
                            capture_output=True, text=True).stdout
    return {package: set(re.findall(r"(?:^|[,|]) *([a-z0-9][a-z0-9.+-]*)", depends))
            for package, depends in (line.split("\t") for line in listed.splitlines())}


def libraries_of(program):
    """The system's libraries that the program itself asks for, by the packages that bring them."""
    asked = re.findall(r"NEEDED +(\S+)", subprocess.run(["objdump", "-p", program], check=True, capture_output=True, text=True).stdout)
    found = dict(re.findall(r"(\S+) => (/\S+)", subprocess.run(["ldd", program], capture_output=True, text=True).stdout))
    packages = {}
    for library in asked:
        path = str(pathlib.Path(found.get(library, "/")).resolve())
        if path.startswith(("/usr/lib/", "/lib/")):
            owner = subprocess.run(["dpkg", "-S", path, path.removeprefix("/usr")], capture_output=True, text=True).stdout
            packages[library] = owner.split(":")[0]
    return packages


class Dockerfile(unittest.TestCase):
    STAGES = {re.search(r" AS (\w+)\n", stage).group(1): stage
              for stage in (ROOT / "Dockerfile").read_text().split("\nFROM ")[1:]}

    def test_one_argument_pins_the_base_of_every_image(self):
        beginning, *stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")
        self.assertRegex(beginning, r"(?m)^ARG DEBIAN=")
        self.assertEqual({stage.split()[0] for stage in stages} - set(self.STAGES), {"${DEBIAN}"})

    def test_what_git_leaves_out_is_not_sent_to_the_build(self):
        """Weights and builds of many GB, and a change of any of them would build everything again."""
        folders = set(re.findall(r"(?m)^/?([\w.-]+)/$", (ROOT / ".gitignore").read_text()))
        self.assertIn("build", folders)
        ignored = {line.removeprefix("**/") for line in (ROOT / ".dockerignore").read_text().split()}
        self.assertLessEqual(folders, ignored)

    def test_every_image_runs_as_a_user(self):
        for name in ("server", "worker", "client"):
            self.assertIn("\nUSER 10001\n", self.STAGES[name])

    @with_all_programs
    def test_every_image_has_the_libraries_of_its_programs(self):
        depends = installed_dependencies()
        for name, stage in self.STAGES.items():
            programs = re.findall(r"/opt/likeness/bin/(likeness[a-z-]*)", stage.split("ENTRYPOINT")[0])
            if not programs:
                continue
            command = re.search(r"apt-get install -y --no-install-recommends (.*?)&&", stage, re.S).group(1)
            there, new = set(), set(command.replace("\\", " ").split())
            while new:
                there |= new
                new = {needed for package in new for needed in depends.get(package, ())} - there
            for program in set(programs):
                libraries = libraries_of(BUILD / "bin" / program)
                self.assertGreater(len(libraries), 5, program)
                missing = {library: package for library, package in libraries.items() if package not in there}
                self.assertFalse(missing, f"the image {name} cannot run {program}")


if __name__ == "__main__":
    unittest.main()
