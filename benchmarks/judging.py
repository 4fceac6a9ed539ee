#!/usr/bin/env python3
"""What judging costs: seconds per picture, and its share of a job's time.

    benchmarks/judging.py --runs 3 --steps 200

Starts a server and a worker of one thread with the miniature and fine-tunes it on four photos, by turns with a judge and without one: 8 samples,
and with the judge the 8 pictures of the class that PRES needs. Class pictures lie in the cache from the first job on, which is
not counted. Prints for each pair the time of both jobs, what judging took, and the median shares.
"""
import argparse
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/e2e"))
import service  # noqa: E402

from likeness.v1 import job_pb2  # noqa: E402

PHOTOS = sorted((service.ROOT / "client/examples/subjects/rex").glob("*.png"))
PROMPTS = ["a {subject} in the snow", "a {subject} on the beach", "a {subject} with a city in the background",
           "a {subject} wearing a red hat"]


def job_of(steps, judged):
    job = job_pb2.Job()
    spec = job.fine_tune
    subject = spec.subjects.add(class_noun="dog")
    for photo in PHOTOS:
        subject.photos.add(inline=photo.read_bytes())
    spec.training.steps, spec.training.seed = steps, 7
    spec.samples.prompts.extend(PROMPTS)
    spec.samples.images_per_prompt, spec.samples.seed = 2, 7
    spec.judge.enabled = judged
    return job


def seconds(duration):
    return duration.seconds + duration.nanos / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    running = service.Service()

    def run(steps, judged):
        done = running.wait(running.create(job_of(steps, judged)).name, seconds=1800)
        if done.state != job_pb2.JOB_STATE_SUCCEEDED:
            raise SystemExit(f"{done.name}: {done.error.message}")
        return done

    try:
        running.start_worker(models=service.ROOT / "models")
        running.wait_for_models()
        run(1, True)
        phase, whole, each = [], [], []
        print("judged s  without s  judging s  sampling s, of both")
        for _ in range(options.runs):
            judged, plain = run(options.steps, True), run(options.steps, False)
            total, without = seconds(judged.worker_duration), seconds(plain.worker_duration)
            judging = judged.metrics["judging_seconds"]
            pictures = 2 * len(PROMPTS) + 8
            phase.append(judging / total)
            whole.append((total - without) / total)
            each.append(judging / pictures)
            print(f"{total:8.2f} {without:10.2f} {judging:10.3f}  {judged.metrics['samples_seconds']:10.2f} {plain.metrics['samples_seconds']:.2f}",
                  flush=True)
        print(f"on {judged.device}, by {', '.join(judged.resolved.fine_tune.judge.evaluators)}, medians of {options.runs}: "
              f"{statistics.median(each):.4f} s a picture; the phase is {100 * statistics.median(phase):.2f} % of the job, "
              f"all that judging adds (the class is drawn for it, too) {100 * statistics.median(whole):.1f} %")
    finally:
        running.close()


if __name__ == "__main__":
    main()
