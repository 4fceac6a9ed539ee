#!/usr/bin/env python3
"""How far the estimates of jobs are from the time that workers then take.

    benchmarks/estimates.py --jobs 30 --seed 1

Starts a server and a worker with the miniature, asks for an estimate of each of a row of jobs with mixed settings
(`validate_only`), runs it, and compares the estimate with `worker_duration`. The server learns from each job for the next.
Three in four jobs are fine-tunes of 20 to 60 steps, the others draw with models made before. Prints a line for each job, and
the median error.
"""
import argparse
import pathlib
import random
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/e2e"))
import service  # noqa: E402

from likeness.v1 import job_pb2  # noqa: E402


def fine_tune(draw, photos):
    job = job_pb2.Job()
    spec = job.fine_tune
    subject = spec.subjects.add(class_noun=draw.choice(["dog", "dog", "cat"]))
    for photo in photos[:draw.randint(3, len(photos))]:
        subject.photos.add(inline=photo)
    spec.training.steps = draw.randrange(20, 61, 10)
    spec.training.batch_size = draw.choice([1, 2, 4])
    spec.dreambooth.train_text_encoder = draw.random() < 0.7
    spec.prior.weight = draw.choice([0, 1, 1])
    spec.prior.class_images = draw.choice([8, 16])
    if draw.random() < 0.7:
        spec.samples.prompts.extend(["a {subject} in the snow", "a {subject} on the beach"][:draw.randint(1, 2)])
        spec.samples.images_per_prompt = draw.choice([1, 2])
        spec.samples.steps = draw.choice([10, 20])
    return job


def generate(draw, models):
    job = job_pb2.Job()
    job.generate.model.name = draw.choice(models)
    job.generate.prompts.append("a {subject}")
    job.generate.images_per_prompt = draw.choice([2, 4, 8])
    job.generate.steps = draw.choice([10, 20, 30])
    return job


def seconds(duration):
    return duration.seconds + duration.nanos / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    running = service.Service()
    try:
        running.start_worker(models=service.ROOT / "models")
        running.wait_for_models()
        photos = service.draw_photos(running.directory / "photos", count=5)
        models, errors, unknown = [], [], 0
        print("job          estimated  measured  error")
        for number in range(options.jobs):
            job = generate(draw, models) if models and draw.random() < 0.25 else fine_tune(draw, photos)
            estimates = running.create(job, validate_only=True).estimates
            done = running.wait(running.create(job).name, seconds=600)
            if done.state != job_pb2.JOB_STATE_SUCCEEDED:
                raise SystemExit(f"{done.name}: {done.error.message}")
            if done.output_model:
                models.append(done.output_model)
            kind = "fine-tune" if done.HasField("fine_tune") else "generate"
            measured = seconds(done.worker_duration)
            if not estimates:
                unknown += 1
                print(f"{number:2} {kind:9} {'-':>9} {measured:9.2f}      -")
                continue
            estimated = seconds(estimates[0].worker_duration)
            errors.append(abs(estimated - measured) / measured)
            print(f"{number:2} {kind:9} {estimated:9.2f} {measured:9.2f}  {100 * errors[-1]:4.0f} %", flush=True)
        errors.sort()
        print(f"on {done.device}: {len(errors)} jobs with an estimate, {unknown} without; error: median "
              f"{100 * statistics.median(errors):.0f} %, nine of ten below {100 * errors[int(0.9 * len(errors))]:.0f} %")
    finally:
        running.close()


if __name__ == "__main__":
    main()
