"""What must not be lost when processes die, stop, or run out of disk."""
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import service  # noqa: E402
from service import State  # noqa: E402
from slow_line import SlowLine  # noqa: E402


def long_job(photos, steps=60):
    """About ten seconds of training on the tiny model, a checkpoint every 10 steps."""
    return service.fine_tune_job(photos, steps=steps, checkpoint_every_steps=10, batch_size=4)


class Faults(unittest.TestCase):
    LEASE = "2s"

    def setUp(self):
        self.service = service.Service(lease_duration=self.LEASE)
        self.addCleanup(self.service.close)
        self.photos = service.draw_photos(self.service.directory / "photos")

    def start(self, job, **flags):
        """A job and the worker that has begun it."""
        worker = self.service.start_worker("first", **flags)
        self.service.wait_for_models()
        return self.service.create(job), worker

    def assert_whole(self, job):
        """The outputs are those of an undisturbed run: checked against the digests and against an offline run."""
        from google.protobuf import json_format
        self.assertEqual(job.state, State.JOB_STATE_SUCCEEDED, job)
        outputs = self.service.outputs(job)
        out = self.service.directory / "undisturbed"
        (self.service.directory / "resolved.json").write_text(json_format.MessageToJson(job.resolved))
        subprocess.run([service.BIN / "likeness-worker", "run", f"--job={self.service.directory / 'resolved.json'}",
                        f"--photos={self.service.directory / 'photos'}", f"--out={out}",
                        f"--models={self.service.models}", f"--cache-dir={out / 'cache'}", "--threads=1",
                        "--device=cpu"], check=True, capture_output=True, timeout=100)
        for path, content in outputs.items():
            self.assertEqual(service.bare((out / path).read_bytes()), content, f"{path} differs")

    def steps_of(self, worker):
        for line in worker.metrics().splitlines():
            if line.startswith("likeness_worker_training_steps_total"):
                return float(line.split()[-1])


class WorkerKilled(Faults):
    def test_in_class_pictures(self):
        spec = long_job(self.photos, steps=4)
        spec.fine_tune.prior.class_images = 60
        spec.fine_tune.prior.sampling_steps = 20
        job, first = self.start(spec)
        self.service.wait_for_phase(job.name, "CLASS_IMAGES")
        first.kill()
        self.service.start_worker("second")
        done = self.service.wait(job.name)
        self.assertEqual(done.attempt, 2)
        self.assert_whole(done)

    def test_in_training_goes_on_from_the_last_checkpoint(self):
        job, first = self.start(long_job(self.photos))
        for event in self.service.watch(job.name):
            if event.WhichOneof("event") == "checkpoint":
                break
        self.assertGreaterEqual(event.checkpoint.step, 10)
        first.kill()
        second = self.service.start_worker("second")
        done = self.service.wait(job.name)
        self.assertEqual(done.attempt, 2)
        self.assertLessEqual(self.steps_of(second), 50)
        self.assert_whole(done)

    def test_in_upload(self):
        line = SlowLine(self.service.port)
        self.addCleanup(line.close)
        spec = long_job(self.photos, steps=10)
        spec.fine_tune.samples.steps = 40
        spec.fine_tune.samples.images_per_prompt = 16  # seconds of drawing, in which the line is made slow
        job, first = self.start(spec, server=line.address)
        self.service.wait_for_phase(job.name, "SAMPLING")
        line.bytes_per_second = 100_000
        self.service.wait_for_phase(job.name, "UPLOADING", 1)
        first.kill()
        self.assertFalse(self.service.get(job.name).outputs)
        second = self.service.start_worker("second")
        done = self.service.wait(job.name)
        self.assertEqual(done.attempt, 2)
        self.assertIn("checkpoint_step=10", second.log_text())
        self.assert_whole(done)


class WorkerStopped(Faults):
    def test_past_its_lease_its_completion_is_refused_and_the_others_stands(self):
        job, first = self.start(long_job(self.photos))
        self.service.wait_for_phase(job.name, "TRAINING", 1)
        first.send(signal.SIGSTOP)
        self.service.start_worker("second")
        done = self.service.wait(job.name)
        self.assertEqual(done.attempt, 2)
        first.send(signal.SIGCONT)
        first.wait_for_log("outcome=lost")
        after = self.service.get(job.name)
        self.assertEqual(after, done)
        self.assert_whole(after)
        # It works on as if nothing had happened.
        drawn = self.service.create(service.generate_job(["a dog"], "baseModels/tiny"))
        self.assertEqual(self.service.wait(drawn.name).state, State.JOB_STATE_SUCCEEDED)

    def test_asked_to_stop_it_gives_the_job_back_with_a_checkpoint(self):
        job, first = self.start(long_job(self.photos))
        self.service.wait_for_phase(job.name, "TRAINING", 3)
        self.assertEqual(first.terminate(), 0)
        waiting = self.service.get(job.name)
        self.assertEqual(waiting.state, State.JOB_STATE_PENDING)
        second = self.service.start_worker("second")
        done = self.service.wait(job.name)
        self.assertNotIn("checkpoint_step=0", second.log_text())
        self.assert_whole(done)


class ServerKilled(Faults):
    LEASE = "10s"

    def test_with_a_job_running_and_a_watch_open(self):
        job, worker = self.start(long_job(self.photos))
        seen, token = [], ""
        try:
            for event in self.service.watch(job.name):
                seen.append(event)
                if event.progress.phase == service.job_pb2.JOB_PHASE_TRAINING and self.service.server:
                    token = event.resume_token
                    self.service.server.kill()
                    self.service.server = None
        except service.grpc.RpcError as error:
            self.assertEqual(error.code(), service.grpc.StatusCode.UNAVAILABLE)
        self.assertIsNone(self.service.server, "the watch ended before the server was killed")
        token = seen[-1].resume_token
        self.service.start_server()
        resumed = list(self.service.watch(job.name, token))
        # Every event after the token comes, in order, and the same worker ends its first attempt.
        sequence = [event.seq for event in resumed if event.seq]
        self.assertEqual(sequence, sorted(sequence))
        self.assertEqual(resumed[-1].state_change.to, State.JOB_STATE_SUCCEEDED)
        done = self.service.get(job.name)
        self.assertEqual(done.attempt, 1)
        self.assertEqual(worker.log_text().count("lease acquired"), 1)
        self.assert_whole(done)


class DiskFull(unittest.TestCase):
    def test_the_job_fails_with_a_clear_reason_and_nothing_corrupt_is_visible(self):
        disk = tempfile.mkdtemp(prefix="likeness-disk-")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True).returncode:
            self.skipTest("a small file system cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        small = service.Service(data_dir=disk, lease_duration="5s")
        self.addCleanup(small.close)
        small.start_worker()
        small.wait_for_models()
        photos = service.draw_photos(small.directory / "photos")
        spec = service.fine_tune_job(photos, steps=2)
        spec.max_attempts = 1
        done = small.wait(small.create(spec).name)
        self.assertEqual(done.state, State.JOB_STATE_FAILED, done)
        self.assertEqual(service.error_reason(done.error), "STORAGE_FULL", done.error)
        self.assertFalse(done.outputs)
        for photo in done.fine_tune.subjects[0].photos:
            self.assertIn(small.read_blob(photo.blob), photos)


if __name__ == "__main__":
    unittest.main()
