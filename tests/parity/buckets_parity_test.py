"""Ten DreamBooth steps on photos of several sizes beside square class pictures, against a loop written with diffusers and torch.optim.

Each half of the loss goes through the network by itself here, whether or not the sizes are the same.
"""

import pathlib
import tempfile

import dreambooth_parity_test as dreambooth
import parity
from dreambooth_parity_test import UNET_ALONE
from parity import diffusers, run_probe, torch, transformers
from torch.nn import functional

SIZES = [(24, 40), (32, 32), (24, 40), (36, 28), (24, 40)]  # width, height
JOB = dict(UNET_ALONE, aspect_ratio_buckets=1, batch_size=2, prior_weight=0.7, first_caption="a red sks dog")
CASES = {  # the family, the job
    "buckets": ("Stable Diffusion 1", dict(JOB, text_encoder_learning_rate=4e-5, seed=31)),
    "buckets, sizes as a condition": ("Stable Diffusion XL", dict(JOB, seed=32)),
}


def generator_of(seed, step):
    return torch.Generator().manual_seed(((seed + 1) * 2654435761 + step) % 2**32)


def batches(seed, size):
    """The photos of one batch after another."""
    order = [SIZES[i] for i in torch.randperm(len(SIZES), generator=generator_of(seed, -2))]
    begun = dict.fromkeys(SIZES, 0)
    while True:
        for sides in order:
            of_size = [i for i, other in enumerate(SIZES) if other == sides]
            yield [of_size[(begun[sides] * size + j) % len(of_size)] for j in range(size)]
            begun[sides] += 1


def draws_of_halves(job, step, shapes):
    """Posterior, timesteps, noise for each half: drawn together where they are of one size, else one after the other."""
    draws = parity.documented("reproducibility.md", "draws")
    if shapes[0] == shapes[1]:
        together = next(draws(job["seed"], step, (2 * shapes[0][0], *shapes[0][1:])))[:3]
        return [[drawn[:shapes[0][0]] for drawn in together], [drawn[shapes[0][0]:] for drawn in together]]
    generator = generator_of(job["seed"], step)
    return [next(draws(job["seed"], step, shape, generator=generator))[:3] for shape in shapes]


def error(pipeline, schedule, distributions, prompts, sides, drawn):
    posterior, timesteps, noise = drawn
    mean, std = (torch.cat([getattr(d, name) for d in distributions]) for name in ("mean", "std"))
    latents = (mean + std * posterior) * pipeline.vae.config.scaling_factor
    noisy = schedule.add_noise(latents, noise, timesteps)
    prediction = parity.predict(pipeline, noisy, timesteps, parity.encode(pipeline, prompts, sides))
    return functional.mse_loss(prediction, noise)


def train(pipeline, job, photos, class_pictures, groups):
    vae, size = pipeline.vae, job["batch_size"]
    schedule = diffusers.DDPMScheduler.from_config(pipeline.scheduler.config)
    of_photos = [dreambooth.latent_distributions(vae, photo[None])[0] for photo in photos]
    of_class = dreambooth.latent_distributions(vae, class_pictures)
    side = class_pictures.shape[1]
    captions = [job["first_caption"]] + ["a sks dog"] * (len(photos) - 1)
    trained = [p for group in groups for p in group["params"]]
    optimizer = dreambooth.make_optimizer(job, groups)
    losses, norms = [], []
    for step, picks in zip(range(job["steps"]), batches(job["seed"], size)):
        halves = [([of_photos[i] for i in picks], [captions[i] for i in picks], SIZES[picks[0]]),
                  ([of_class[(step * size + j) % len(of_class)] for j in range(size)], ["a dog"] * size, (side, side))]
        shapes = [(size, *distributions[0].mean.shape[1:]) for distributions, _, _ in halves]
        subject, prior = (error(pipeline, schedule, *half, drawn)
                          for half, drawn in zip(halves, draws_of_halves(job, step, shapes)))
        loss = subject + job["prior_weight"] * prior
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(trained, job["max_grad_norm"]).item())
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return torch.tensor(losses, dtype=torch.float64), torch.tensor(norms, dtype=torch.float64)


def check(name, family, job, args, report):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        reference = parity.save_random_pipeline(scratch / "base", parity.SIZES[family])
        reference.set_progress_bar_config(disable=True)
        photos = [torch.randint(256, (height, width, 3), dtype=torch.uint8) for width, height in SIZES]
        model = scratch / "base" / "model"
        settings = {key: str(value) for key, value in job.items()}
        ours = run_probe(args.probe, "dreambooth", model, {f"photo_{i}": photo for i, photo in enumerate(photos)},
                         dict(settings, base=str(model), scratch=str(scratch)))
        parts = {"unet": reference.unet, **parity.text_encoders(reference)}
        before = {part: {k: v.clone() for k, v in module.state_dict().items()} for part, module in parts.items()}
        groups = dreambooth.all_weights(reference, job)
        losses, norms = train(reference, job, photos, ours["class_pictures"], groups)
        dreambooth.check_steps(name, ours, losses, norms, job, report)
        for part, weights in dreambooth.trained_by_us(scratch, parity.text_encoders(reference)).items():
            dreambooth.check_weights(f"{name}: {part}", weights, before[part], parts[part].state_dict(), report)


def main():
    args = parity.parse_args(__doc__)
    report = parity.Report()
    diffusers.logging.set_verbosity_error()
    transformers.logging.set_verbosity_error()
    for name, (family, job) in CASES.items():
        if args.only in name:
            check(name, family, job, args, report)
    report.exit()


if __name__ == "__main__":
    main()
