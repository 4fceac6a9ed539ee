#!/usr/bin/env python3
"""Trainings of every method whose worker is killed at random instants must end with the very bytes of one that was left alone.

    resume_kills.py [--kills 100] [--seed 1] [--case lora] [--case ...]

Each round takes the next case, which names a method with settings, and kills the job's worker one to three times with SIGKILL:
somewhere in the job, or while a checkpoint is being written. Another process, with an empty cache of its own, goes on each time. All
outputs of the job, what it resolved and its losses are then compared with those of the same job without a kill. The instants are
drawn from the seed, as shares of the time that the job takes alone.
"""
import argparse
import atexit
import collections
import pathlib
import random
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import service  # noqa: E402
from service import ENDED, State  # noqa: E402
from likeness.v1 import fine_tune_pb2, job_pb2, job_service_pb2, model_service_pb2, model_service_pb2_grpc  # noqa: E402

STEPS = 40
CHECKPOINT_EVERY = 4
FIGURES = ("loss", "best_step", "validation_loss_before", "validation_loss_after")  # metrics that are no measure of time or memory
MOST_ATTEMPTS = 10


def lora(variant=fine_tune_pb2.LORA_VARIANT_LORA, **settings):
    return {"lora": fine_tune_pb2.Lora(rank=2, variant=variant, **settings)}


def optimizer(name):
    return fine_tune_pb2.Optimizer.Value(f"OPTIMIZER_{name}")


# Fields of FineTuneSpec, and of its `training`. Between them every method, optimizer, precision, schedule, random draw and average is
# there.
CASES = {
    "dreambooth": ({"dreambooth": fine_tune_pb2.DreamBooth(train_text_encoder=True)}, {"ema_decay": 0.9, "batch_size": 2}),
    "dreambooth-8bit": (
        {"prior": fine_tune_pb2.Prior(kind=fine_tune_pb2.PRIOR_KIND_BASE_PREDICTION)},
        {"optimizer": optimizer("ADAMW_8BIT"), "gradient_checkpointing": True, "horizontal_flips": True, "caption_dropout": 0.3,
         "noise_offset": 0.1, "input_perturbation": 0.1, "debiased_estimation": True}),
    "dreambooth-prodigy": ({}, {"optimizer": optimizer("PRODIGY"), "learning_rate": 1, "gradient_accumulation_steps": 2}),
    "dreambooth-adafactor": ({}, {"optimizer": optimizer("ADAFACTOR"), "precision": fine_tune_pb2.PRECISION_BF16, "snr_gamma": 5}),
    "dreambooth-fp16": ({}, {"precision": fine_tune_pb2.PRECISION_FP16, "gradient_accumulation_steps": 2}),
    "dreambooth-bf16-weights": ({}, {"precision": fine_tune_pb2.PRECISION_BF16_WEIGHTS, "ema_decay": 0.9}),
    "dreambooth-bf16-weights-fused": ({}, {"precision": fine_tune_pb2.PRECISION_BF16_WEIGHTS, "optimizer": optimizer("ADAMW_8BIT"),
                                           "fused_backward_pass": True}),
    "dreambooth-best": ({}, {"stop_rule": fine_tune_pb2.STOP_RULE_BEST, "checkpoint_every_steps": 10, "ema_decay": 0.8}),
    "dreambooth-fused": ({}, {"optimizer": optimizer("ADAFACTOR"), "fused_backward_pass": True}),
    "dreambooth-plateau": ({}, {"stop_rule": fine_tune_pb2.STOP_RULE_PLATEAU, "learning_rate": 2e-2}),
    "lora": (lora(train_text_encoder=True, dropout=0.2, up_learning_rate_ratio=4), {"ema_decay": 0.9}),
    "lora-half-text": (lora(train_text_encoder=True, text_encoder_steps=15), {
        "stop_rule": fine_tune_pb2.STOP_RULE_LOWEST_VALIDATION_LOSS, "aspect_ratio_buckets": True}),
    "rslora": (lora(rank_stabilized=True, targets=["to_q", "conv1"]), {"optimizer": optimizer("PRODIGY"), "learning_rate": 1}),
    "lora-fp16": (lora(train_text_encoder=True, dropout=0.2), {"precision": fine_tune_pb2.PRECISION_FP16}),
    "t-lora": (lora(min_rank=1, train_text_encoder=True), {"gradient_checkpointing": True, "aspect_ratio_buckets": True}),
    "dora": (lora(fine_tune_pb2.LORA_VARIANT_DORA), {"optimizer": optimizer("ADAMW_8BIT")}),
    "loha": (lora(fine_tune_pb2.LORA_VARIANT_LOHA), {
        "learning_rate_schedule": fine_tune_pb2.LEARNING_RATE_SCHEDULE_COSINE_WITH_RESTARTS, "schedule_cycles": 3}),
    "lokr": (lora(fine_tune_pb2.LORA_VARIANT_LOKR), {"optimizer": optimizer("ADAFACTOR"), "ema_decay": 0.9}),
    "textual_inversion": (
        {"textual_inversion": fine_tune_pb2.TextualInversion(vectors=2, keep_norm=True)}, {"ema_decay": 0.9}),
    "textual_inversion-prodigy": (
        {"textual_inversion": fine_tune_pb2.TextualInversion()}, {"optimizer": optimizer("PRODIGY"), "learning_rate": 1}),
    "pivotal_tuning": (
        {"pivotal_tuning": fine_tune_pb2.PivotalTuning(
            textual_inversion=fine_tune_pb2.TextualInversion(vectors=2), lora=fine_tune_pb2.Lora(rank=2), vectors_learning_rate=0.1)},
        {"optimizer": optimizer("ADAMW_8BIT"), "warmup_steps": 10}),
    "hypernetwork": (
        {"hypernetwork": fine_tune_pb2.Hypernetwork(layer_norm=True, dropout=0.2)}, {"ema_decay": 0.9, "batch_size": 2}),
    "hypernetwork-adafactor": ({"hypernetwork": fine_tune_pb2.Hypernetwork()}, {"optimizer": optimizer("ADAFACTOR")}),
    "custom_diffusion": ({"custom_diffusion": fine_tune_pb2.CustomDiffusion()}, {"ema_decay": 0.9}),
    "custom_diffusion-prodigy": (
        {"custom_diffusion": fine_tune_pb2.CustomDiffusion()}, {"optimizer": optimizer("PRODIGY"), "learning_rate": 1}),
    "svdiff": ({"svdiff": fine_tune_pb2.Svdiff()}, {"ema_decay": 0.9}),
    "svdiff-8bit": ({"svdiff": fine_tune_pb2.Svdiff()}, {"optimizer": optimizer("ADAMW_8BIT")}),
}


def job_of(case, photos):
    spec, training = CASES[case]
    job = service.fine_tune_job(photos, **{"steps": STEPS, "checkpoint_every_steps": CHECKPOINT_EVERY, "learning_rate": 5e-3, **training})
    for field, value in spec.items():
        getattr(job.fine_tune, field).MergeFrom(value)
        getattr(job.fine_tune, field).SetInParent()
    photo = job.fine_tune.subjects[0].photos.pop()
    job.fine_tune.subjects[0].validation_photos.append(photo)
    job.fine_tune.previews.every_steps = 16
    job.max_attempts = MOST_ATTEMPTS
    return job


def job_id(case):
    return case.replace("_", "-")


class Kills:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.service = service.Service(lease_duration="2s", evaluators=True)
        atexit.register(self.service.close)
        self.started = 0
        self.worker = self.next_worker()
        self.service.wait_for_models()
        self.models = model_service_pb2_grpc.ModelServiceStub(self.service.channel)
        self.photos = service.draw_photos(self.service.directory / "photos", count=4)
        self.left_alone = {}  # by case: what it made, and the seconds that it took
        self.landed = collections.Counter()

    def next_worker(self):
        self.started += 1
        name = f"worker-{self.started}"
        self.scratch = self.service.directory / f"cache-{name}" / "scratch"
        return self.service.start_worker(name)

    def made(self, job):
        if job.state != State.JOB_STATE_SUCCEEDED:
            raise AssertionError(f"{job.name} did not succeed:\n{job.error}\n{self.worker.log_text()[-2000:]}")
        made = {**self.service.outputs(job), "what was resolved": job.resolved.SerializeToString(deterministic=True),
                **{name: job.metrics[name] for name in FIGURES if name in job.metrics}}
        # The next job of the case has the same name, which its pictures' files mention.
        self.models.DeleteModel(model_service_pb2.DeleteModelRequest(name=job.output_model))
        self.service.jobs.DeleteJob(job_service_pb2.DeleteJobRequest(name=job.name))
        return made

    def alone(self, case):
        if case not in self.left_alone:
            job = self.service.create(job_of(case, self.photos), job_id=job_id(case))
            self.leased(job.name, attempt=1)
            begun = time.monotonic()
            self.left_alone[case] = (self.made(self.service.wait(job.name, 300)), time.monotonic() - begun)
        return self.left_alone[case]

    def leased(self, name, attempt):
        """Waits until a worker has the job for the `attempt`th time, or the job is over."""
        def there():
            job = self.service.get(name)
            return job if job.attempt >= attempt or job.state in ENDED else None

        return service.wait_until(there, 120, f"attempt {attempt} of {name}")

    def checkpoint_is_being_written(self):
        try:
            return any(self.scratch.glob("*/*/checkpoint-*.partial-*"))
        except FileNotFoundError:  # a directory that was removed meanwhile
            return False

    def instant(self, seconds):
        """Draws an instant of a job that takes `seconds`: a function that says whether it has come."""
        if self.random.random() < 0.6:
            until = time.monotonic() + self.random.random() * seconds
            return lambda: time.monotonic() >= until
        left = self.random.randrange(1, STEPS // CHECKPOINT_EVERY)
        before = False

        def come():
            nonlocal left, before
            now = self.checkpoint_is_being_written()
            left -= now and not before
            before = now
            return left <= 0

        return come

    def kill_at_an_instant(self, name, seconds):
        """Kills the worker of the job at a random instant, and starts another; false if the job was over before."""
        come = self.instant(seconds)
        looked = time.monotonic()
        while not come():
            if time.monotonic() - looked > 0.2:
                if self.service.get(name).state in ENDED:
                    return False
                looked = time.monotonic()
            time.sleep(0.0005)
        self.worker.kill()
        in_writing = self.checkpoint_is_being_written()
        job = self.service.get(name)
        shutil.rmtree(self.scratch.parent)
        self.worker = self.next_worker()
        if job.state in ENDED:
            return False
        self.landed["writing a checkpoint" if in_writing else job_pb2.JobPhase.Name(job.progress.phase)] += 1
        return True

    def round(self, case, most):
        """Kills the worker of one job of the case up to `most` times. The number of kills; what differs afterwards."""
        expected, seconds = self.alone(case)
        name = self.service.create(job_of(case, self.photos), job_id=job_id(case)).name
        kills = 0
        for _ in range(min(most, self.random.randint(1, 3))):
            self.leased(name, attempt=kills + 1)
            if not self.kill_at_an_instant(name, seconds):
                break
            kills += 1
        made = self.made(self.service.wait(name, 300))
        return kills, sorted(path for path in {*expected, *made} if expected.get(path) != made.get(path))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=4, help="how many in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", action="append", choices=CASES, help="the cases to take in turn [all]")
    options = parser.parse_args()
    kills = Kills(options.seed)
    done, rounds, unequal = 0, 0, 0
    cases = options.case or list(CASES)
    while done < options.kills:
        case = cases[rounds % len(cases)]
        rounds += 1
        killed, differing = kills.round(case, options.kills - done)
        done += killed
        print(f"{case}: {killed} kills, {'DIFFERENT: ' + ', '.join(differing) if differing else 'equal'}", flush=True)
        unequal += bool(differing)
    print(f"{done} kills in {rounds} jobs over {min(rounds, len(cases))} cases; {unequal} jobs differ")
    print("killed while: " + ", ".join(f"{where} {count}" for where, count in kills.landed.most_common()))
    return 1 if unequal else 0


if __name__ == "__main__":
    sys.exit(main())
