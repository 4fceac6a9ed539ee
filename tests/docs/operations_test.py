"""docs/operations.md names every flag, variable, default and metric of the server and the worker, and no other."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import service  # noqa: E402

TEXT = (service.ROOT / "docs/operations.md").read_text()


def section(heading):
    return re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S).group(1)


def help_of(program, *command):
    """{flag: (variable, default)} as --help tells."""
    environment = {"HOME": "~", "PATH": os.environ["PATH"]}
    text = subprocess.run([service.BIN / program, *command, "--help"], check=True, capture_output=True, text=True,
                          env=environment).stdout
    flags = {}
    for flag, words in re.findall(r"^  (--[\w-]+)\S*\n((?:      .*\n)+)", text, re.M):
        words = " ".join(words.split())
        variable = re.search(r" \(\$(\w+)\)$", words)
        default = re.search(r" \[([^]]*)\]", words)
        flags[flag] = (variable.group(1) if variable else "", default.group(1) if default else "")
    return flags


def commands_of(program, how="--help"):
    text = subprocess.run([service.BIN / program, how], check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"^  ([a-z-]+)  ", text, re.M))


def table(text):
    """{flag: (variable, default)} of the rows that have four columns."""
    rows = re.findall(r"^\| `(--[\w-]+)` \|(.*?)\|(.*?)\|.*\|$", text, re.M)
    return {flag: (variable.strip(" `"), default.strip(" `")) for flag, variable, default in rows}


def named_flags(text):
    return set(re.findall(r"`(--[a-z][\w-]*)", text))


class Flags(unittest.TestCase):
    maxDiff = None

    def test_of_the_server(self):
        shown = help_of("likeness-server")
        self.assertEqual(table(section("likeness-server")), shown)

    def test_of_the_worker(self):
        self.assertEqual(table(section("likeness-worker")), help_of("likeness-worker", "serve"))

    def test_of_the_keys(self):
        text = re.search(r"^`keys create` takes .*?\n\n", TEXT, re.M | re.S).group()
        self.assertEqual(named_flags(text), set(help_of("likeness-server", "keys")))

    def test_of_an_offline_run(self):
        text = re.search(r"^`likeness-worker run`.*?(?=^`likeness-worker healthcheck`)", TEXT, re.M | re.S).group()
        self.assertEqual(named_flags(text), set(help_of("likeness-worker", "run")))

    def test_of_the_health_check(self):
        text = re.search(r"^`likeness-worker healthcheck`.*?\n\n", TEXT, re.M | re.S).group()
        self.assertEqual(named_flags(text), set(help_of("likeness-worker", "healthcheck")))

    def test_of_the_contact_sheet(self):
        text = re.search(r"^`likeness-worker contact-sheet`.*?\n\n", TEXT, re.M | re.S).group()
        self.assertEqual(named_flags(text), set(help_of("likeness-worker", "contact-sheet")))

    def test_of_the_conversion(self):
        text = re.search(r"^`likeness-worker convert`.*?\n\n", TEXT, re.M | re.S).group()
        self.assertEqual(named_flags(text), set(help_of("likeness-worker", "convert")))

    def test_every_command_of_the_worker_is_described(self):
        self.assertEqual(commands_of("likeness-worker"),
                         set(re.findall(r"`likeness-worker ([a-z-]+)`", section("likeness-worker"))))

    def test_of_the_miniature(self):
        rows = dict(re.findall(r"^\| `([a-z][a-z-]*)` \|.*?\| (.*) \|$", section("likeness-mini"), re.M))
        self.assertEqual(set(rows), commands_of("likeness-mini"))
        for command, flags in rows.items():
            self.assertEqual(named_flags(flags), set(help_of("likeness-mini", command)), command)


class Help(unittest.TestCase):
    def test_fits_into_80_columns(self):
        for program in ("likeness", "likeness-server", "likeness-worker", "likeness-mini"):
            names = commands_of(program, "help" if program == "likeness-server" else "--help")
            self.assertGreater(len(names), 2)
            for command in [[], *([name] for name in sorted(names))]:
                text = subprocess.run([service.BIN / program, *command, "--help"], check=True, capture_output=True, text=True).stdout
                self.assertEqual([line for line in text.splitlines() if len(line) > 80], [], f"{program} {command}")


class Metrics(unittest.TestCase):
    def test_of_both_pages(self):
        running = service.Service()
        self.addCleanup(running.close)
        worker = running.start_worker()
        running.wait_for_models()  # a metric with labels is shown once it has a value
        running.wait(running.create(service.generate_job(["a dog"], steps=2)).name)
        service.wait_until(lambda: "likeness_worker_jobs_total{" in worker.metrics(), what="the end of the lease")
        pages = running.metrics() + worker.metrics()
        offered = set(re.findall(r"^# TYPE (\w+)", pages, re.M))
        rows = re.findall(r"^\| `(\w+)(?:\{([\w,]+)\})?` \| (\w+) \|", section("Metrics"), re.M)
        self.assertEqual({name for name, _, _ in rows}, offered)
        for name, labels, kind in rows:
            self.assertIn(f"# TYPE {name} {kind}\n", pages)
            sample = re.search(rf"^{name}(?:_count)?\{{(.*?)\}} ", pages, re.M)
            if sample:
                self.assertEqual(set(re.findall(r'(\w+)="', sample.group(1))), set(filter(None, labels.split(","))), name)


if __name__ == "__main__":
    unittest.main()
