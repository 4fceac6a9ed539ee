"""How each fault of the plan comes about, and goes again."""
import collections
import heapq
import os
import pathlib
import random
import signal
import subprocess
import time

import disk
import network
import service
from plan import WORKERS
from server import FAKETIME, RECORDER

DISK_BYTES = 400 << 20
POWER_LOSS = service.BIN / "likeness-lose-power"
FORGIVEN = 5  # seconds after a full disk within which the server may end by itself


class Troubles:
    """Each fault is a method of its name. `stage` has the server and the workers; `history` is told what cannot be seen."""

    def __init__(self, stage, history, directory, data, seed, collecting):
        self.stage, self.history, self.directory, self.data = stage, history, directory, data
        self.rng = random.Random(f"troubles {seed}")
        self.counts = collections.Counter()
        self.skipped = {}  # kind: reason
        self.recoveries = []  # seconds from the server's kill to its first answer
        self._heals = []  # (when, number, what to do)
        self._disk_full, self._disk_was_full = False, 0
        self._mount_disk()
        self.cables, reason = network.lay_cables(WORKERS)
        if not self.cables:
            self.skip("cut worker", f"there are no network namespaces: {reason}")
        self._clock = 0
        self._set_clock(0)
        if not FAKETIME.exists():
            self.skip("move clock", "libfaketime is not installed (scripts/setup --tests)")
        if collecting:
            self.skip("move clock", "within a day nothing may be collected, and the clock is moved by days")
        else:
            self.skip("collect", "blobs are kept (--collect)")
        self._hang, self._logs, self._incarnations = directory / "hang", [], 0
        self._before = directory / "disk.0"  # what the disk held when the first of the logs began
        self._before.mkdir(exist_ok=True)
        if not (RECORDER.exists() and POWER_LOSS.exists()):
            for kind in ("lose power", "hang disk"):
                self.skip(kind, f"{RECORDER.name} and {POWER_LOSS.name} are not built")

    def skip(self, kind, reason):
        self.skipped[kind] = reason
        print(f"SKIPPED: {kind}: {reason}", flush=True)

    def environment(self):
        """Of the server's next start."""
        preloaded, environment = [], {}
        if "move clock" not in self.skipped:
            preloaded.append(str(FAKETIME))
            environment.update(FAKETIME_TIMESTAMP_FILE=str(self.directory / "clock"), FAKETIME_CACHE_DURATION="1",
                               FAKETIME_DONT_FAKE_MONOTONIC="1")
        if "lose power" not in self.skipped:
            preloaded.append(str(RECORDER))
            self._logs.append(self.directory / f"disk.log.{self._incarnations}")
            self._incarnations += 1
            environment.update(LIKENESS_RECORD_ROOT=str(self.data), LIKENESS_RECORD_LOG=str(self._logs[-1]),
                               LIKENESS_RECORD_HANG=str(self._hang))
        if preloaded:
            environment["LD_PRELOAD"] = ":".join(preloaded)
        return environment

    def may_end_server(self):
        """Whether a full disk is a reason for the server to end by itself, now or a moment ago."""
        return self._disk_full or time.monotonic() - self._disk_was_full < FORGIVEN

    def suffer(self, fault):
        if fault.kind in self.skipped:
            return
        self.counts[fault.kind] += 1
        self.history.write("fault", kind=fault.kind, worker=self.stage.workers[fault.target].name, seconds=fault.seconds,
                           amount=fault.amount)
        getattr(self, fault.kind.replace(" ", "_"))(fault)

    # --- What goes by itself after a while

    def heal_in(self, seconds, action):
        heapq.heappush(self._heals, (time.monotonic() + seconds, self.counts["heals"], action))
        self.counts["heals"] += 1

    def heal_what_is_due(self, everything=False):
        while self._heals and (everything or self._heals[0][0] <= time.monotonic()):
            heapq.heappop(self._heals)[2]()

    def close(self):
        self._heals.clear()
        self._hang.unlink(missing_ok=True)
        for cable in self.cables:
            cable.close()
        if self.mounted:
            subprocess.run(["umount", "-l", self.data], check=False)

    # --- Processes

    def kill_server(self, _):
        full = self.may_end_server()
        begun = time.monotonic()
        self.stage.server.kill()
        self.stage.serve()
        if not full and not self.may_end_server():
            self.recoveries.append(time.monotonic() - begun)

    def stop_server(self, fault):
        self.stage.server.process.send_signal(signal.SIGSTOP)
        self.stage.wait(fault.seconds)
        self.stage.server.process.send_signal(signal.SIGCONT)

    def kill_worker(self, fault):
        process = self.stage.workers[fault.target]
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        self.stage.start_worker(fault.target)

    def stop_worker(self, fault):
        pid = self.stage.workers[fault.target].pid
        os.kill(pid, signal.SIGSTOP)
        self.heal_in(fault.seconds, lambda: self._go_on(fault.target, pid))

    def _go_on(self, number, pid):
        if self.stage.workers[number].pid == pid:  # it may have been killed meanwhile
            os.kill(pid, signal.SIGCONT)

    def cut_worker(self, fault):
        self.cables[fault.target].cut()
        self.heal_in(fault.seconds, self.cables[fault.target].mend)

    def collect(self, _):
        self.stage.server.process.send_signal(signal.SIGUSR1)

    # --- The clock

    def move_clock(self, fault):
        self._set_clock(self._clock + fault.amount if abs(self._clock + fault.amount) < 200000 else 0)

    def _set_clock(self, offset):
        self._clock = offset
        new = self.directory / "clock.new"
        new.write_text(f"{offset:+}\n")
        new.rename(self.directory / "clock")

    # --- The disk

    def _mount_disk(self):
        self.mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", self.data],
                                      capture_output=True).returncode == 0
        if not self.mounted:
            self.skip("fill disk", "a small file system cannot be mounted")

    def fill_disk(self, fault):
        """The file system becomes as small as what lies in it."""
        if self._disk_full:
            return
        self._disk_full = True
        for _ in range(20):  # it grows while we look
            status = os.statvfs(self.data)
            used = (status.f_blocks - status.f_bfree) * status.f_frsize
            if self._resize_disk(max(used, 1)):
                break
        self.heal_in(fault.seconds / 2, self._empty_disk)

    def _empty_disk(self):
        self._resize_disk(DISK_BYTES)
        self._disk_full, self._disk_was_full = False, time.monotonic()

    def _resize_disk(self, size):
        return subprocess.run(["mount", "-o", f"remount,size={size}", self.data], capture_output=True).returncode == 0

    def damage_blob(self, fault):
        """A bit of some blob flips, or its end is cut off."""
        blobs = sorted(path for path in (self.data / "blobs").glob("*/??/*") if path.is_file() and path.stat().st_size)
        if not blobs:
            return
        path = self.rng.choice(blobs)
        self.history.write("damage", blob=f"tenants/{path.parent.parent.name}/blobs/{path.name}")
        (disk.cut if fault.amount < 0.3 else disk.flip_bit)(path, self.rng)

    def hang_disk(self, fault):
        """Writes and fsyncs do not return for a while."""
        self._hang.touch()
        self.heal_in(fault.seconds, lambda: self._hang.unlink(missing_ok=True))

    def lose_power(self, fault):
        """The server dies, and of what it did not fsync any part is gone."""
        if self._disk_full:
            return
        self.stage.server.kill()
        self._hang.unlink(missing_ok=True)
        after = pathlib.Path(f"{self._before.with_suffix('')}.{self._incarnations}")
        subprocess.run([POWER_LOSS, self.data, self._before, after, str(self.rng.randrange(1 << 31)), *self._logs], check=True)
        # Thousands of files: Python would take seconds for them.
        subprocess.run(["find", self.data, "-mindepth", "1", "-delete"], check=True)
        subprocess.run(["cp", "-R", f"{after}/.", self.data], check=True)
        subprocess.run(["rm", "-r", self._before], check=True)
        for log in self._logs:
            log.unlink()
        self._before, self._logs = after, []
        self.stage.serve()
