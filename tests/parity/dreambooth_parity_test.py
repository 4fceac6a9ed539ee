"""Ten DreamBooth steps of FineTuneModel against the same loop written with diffusers, transformers and torch.optim.

The loop below shares no code with ours: it draws its random numbers with the program in docs/reproducibility.md, and
takes loss, clipping and AdamW from the papers and PyTorch. Class pictures are held against diffusers' own, then both learn from
ours, since one rounded pixel would move everything after it.
"""

import copy
import pathlib
import tempfile

import numpy
import parity
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel, compute_snr
from parity import diffusers, load_file, run_probe, torch, transformers
from torch.nn import functional

LOSS_LIMIT = 1e-5  # of each step, relative; of the gradients' norm too
WEIGHT_LIMIT = 1e-4  # of each tensor at the end, relative (weight_error)
UPDATE_LIMIT = 1e-3  # of what training changed, in norm over all weights: a lost update or decay shows here
PIXEL_LIMIT = 1 / 255 + 1e-6  # one level: what float32 makes of it
STEPS = 10

UNET_ALONE = dict(
    class_noun="dog", first_caption="", prior_weight=1.0, class_images=4, class_image_steps=5, steps=STEPS,
    learning_rate=2e-5, text_encoder_learning_rate=0.0, batch_size=1, gradient_accumulation=1, max_grad_norm=1.0,
    lr_decay="constant", lr_warmup_steps=0, snr_gamma=0.0, seed=0)
CASES = {
    "UNet": UNET_ALONE,
    "UNet and text encoder": dict(UNET_ALONE, text_encoder_learning_rate=4e-5, seed=2**32 - 1),
    "Stable Diffusion 2": dict(UNET_ALONE, text_encoder_learning_rate=4e-5, snr_gamma=5.0, seed=3),
    "Stable Diffusion 1, inpainting": dict(UNET_ALONE, seed=6),
    "Stable Diffusion XL": dict(UNET_ALONE, text_encoder_learning_rate=4e-5, seed=5),
    "Stable Diffusion 2, zero SNR": dict(UNET_ALONE, snr_gamma=5.0, seed=4),
    "two pairs, two forwards a step, min-SNR, cosine, a caption": dict(
        UNET_ALONE, text_encoder_learning_rate=1e-5, batch_size=2, gradient_accumulation=2, prior_weight=0.5,
        snr_gamma=5.0, lr_decay="cosine", lr_warmup_steps=2, first_caption="a red sks dog", seed=7),
}


def draw_class_pictures(pipeline, job):
    """The frozen model's pictures of the class, uint8 [N,H,W,3], as scripts of diffusers' kind draw them."""
    prompt = f"a {job['class_noun']}"
    return numpy.stack([
        numpy.asarray(pipeline(prompt, num_inference_steps=job["class_image_steps"], guidance_scale=7.5,
                               generator=torch.Generator().manual_seed(i), **parity.blank_canvas(pipeline)).images[0])
        for i in range(job["class_images"])])


def latent_distributions(vae, pictures):
    """One distribution a picture: encoded once, sampled at every step."""
    with torch.no_grad():
        images = torch.as_tensor(pictures).permute(0, 3, 1, 2) / 127.5 - 1
        return [vae.encode(image[None]).latent_dist for image in images]


def loss_of(job, prediction, target, snr, predicts_v, weights=None):
    """DreamBooth, 2208.12242, eq. 2; min-SNR weights, 2303.09556, before the halves part. weights: of the subject's half, in places."""
    error = functional.mse_loss(prediction, target, reduction="none")
    if weights is not None:
        error = error * torch.cat([weights, torch.ones(len(error) - len(weights), *weights.shape[1:])])
    error = error.mean([1, 2, 3])
    if job["snr_gamma"]:
        error = error * snr.clamp(max=job["snr_gamma"]) / (snr + 1 if predicts_v else snr)
    if job.get("debiased_estimation"):  # 2310.08442; of v so that the denoised picture has the same weight
        error = error * (snr.sqrt() / (snr + 1) if predicts_v else snr.rsqrt())
    if not job["prior_weight"]:
        return error.mean()
    instance, prior = error.chunk(2)
    return instance.mean() + job["prior_weight"] * prior.mean()


def place_weights(job, masks, photos, picks, mirrored, size):
    """Masks as kohya-ss/sd-scripts brings them to the size of the loss (apply_masked_loss), at least as OneTrainer's clamp has them."""
    whole = torch.full(photos.shape[1:3], 255, dtype=torch.uint8)
    chosen = [masks[i % len(photos)] if i % len(photos) < len(masks) else whole for i in picks]
    chosen = torch.stack([mask.flip(1) if flipped else mask for mask, flipped in zip(chosen, mirrored)])
    return functional.interpolate(chosen[:, None] / 255, size=size, mode="area").clamp(job["unmasked_weight"], 1)


def all_weights(pipeline, job):
    """What DreamBooth trains, as groups of an optimizer."""
    texts, unet = parity.text_encoders(pipeline), pipeline.unet
    with_text = job["text_encoder_learning_rate"] > 0
    for text in texts.values():
        text.requires_grad_(with_text)
    unet.requires_grad_(True)
    groups = [dict(params=list(unet.parameters()), lr=job["learning_rate"])]
    for text in texts.values() if with_text else []:
        groups.append(dict(params=list(text.parameters()), lr=job["text_encoder_learning_rate"]))
    return groups


def quantize_to_nearest(values, code, absmax, out, blocksize):
    """As the paper has it (2110.02861, section 1.3), and bitsandbytes on a GPU. On a CPU bitsandbytes looks codes up in a table of 65,536
    equal cells: 3 % of second moments get a neighbour of the nearest code, and those below 3e-5 of their block's largest one of 1.6e-5."""
    padded = functional.pad(values.flatten(), (0, -values.numel() % blocksize)).view(-1, blocksize)
    absmax.copy_(padded.abs().amax(1))
    shares = padded / absmax.clamp_min(1e-38)[:, None]
    out.copy_(torch.bucketize(shares, (code[:-1] + code[1:]) / 2).flatten()[:values.numel()].view_as(out))


def make_optimizer(job, groups):
    name = job.get("optimizer", "adamw")
    if name == "adafactor":
        return transformers.optimization.Adafactor(groups, weight_decay=1e-2, scale_parameter=False, relative_step=False)
    if name == "prodigy":
        import prodigyopt
        return prodigyopt.Prodigy(groups, betas=(0.9, 0.999), weight_decay=1e-2, use_bias_correction=True, safeguard_warmup=True)
    if name == "adamw_8bit":
        import bitsandbytes
        from bitsandbytes.backends.cpu import ops
        ops._quant_blockwise_fp32_direct = quantize_to_nearest
        return bitsandbytes.optim.AdamW8bit(groups, betas=(0.9, 0.999), weight_decay=1e-2)
    return torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, fused=False)


def photo_of_sample(sample, job, count):
    """Goes round the photos; two subjects take turns, of which the second has the last photos."""
    second = job.get("second_photos", 0)
    if not second:
        return sample % count
    first = count - second
    return first + sample // 2 % second if sample % 2 else sample // 2 % first


def train(pipeline, job, photos, class_pictures, groups, spoken=lambda prompt: prompt, masks=None):
    """Trains what is in the groups in place; gives losses, and norms of the gradients before clipping."""
    vae, unet = pipeline.vae, pipeline.unet
    schedule = diffusers.DDPMScheduler.from_config(pipeline.scheduler.config)
    base = copy.deepcopy(pipeline) if job.get("prior_kind") == "base_prediction" else None
    halves = [photos, class_pictures] if job["prior_weight"] and not base else [photos]
    distributions = [latent_distributions(vae, pictures) for pictures in halves]
    mirrored = latent_distributions(vae, photos.flip(2))
    captions = [job["first_caption"] or "a sks dog"] + ["a sks dog"] * (len(photos) - 1)
    for i in range(job.get("second_photos", 0)):
        captions[-1 - i] = "a zwx dog"

    trained = [p for group in groups for p in group["params"]]
    optimizer = make_optimizer(job, groups)
    float16 = job.get("precision") == "fp16"
    scaler = torch.amp.GradScaler("cpu", enabled=float16)
    optimizer.defaults["lr"] = job["learning_rate"]  # what get_scheduler's "polynomial" reads
    lr = get_scheduler(job["lr_decay"], optimizer, num_warmup_steps=job["lr_warmup_steps"],
                       num_training_steps=job["steps"], num_cycles=job.get("lr_cycles", 1))
    average = EMAModel(trained, decay=job["ema_decay"]) if job.get("ema_decay") else None

    draws = parity.documented("reproducibility.md", "draws")
    used = [name for name in ("noise_offset", "input_perturbation", "horizontal_flips", "caption_dropout") if job.get(name)]
    losses, norms = [], []
    size, passes = job["batch_size"], job["gradient_accumulation"]
    for step in range(job["steps"]):
        if step == job.get("text_encoder_steps"):
            for text in parity.text_encoders(pipeline).values():
                text.requires_grad_(False)
        step_loss = 0.0
        shape = (len(halves) * size, *distributions[0][0].mean.shape[1:])
        fills_masks = unet.config.in_channels > unet.config.out_channels
        picture = tuple(photos.shape[1:3]) if fills_masks else None
        steps_draws = draws(job["seed"], step, shape, passes, picture, used)
        for number, (posterior, timesteps, noise, drawn, *canvas) in enumerate(steps_draws):
            picks = [(step * passes + number) * size + j for j in range(size)]
            of_photos = [photo_of_sample(i, job, len(photos)) for i in picks]
            rows = [of_photos] + [[i % len(half) for i in picks] for half in halves[1:]]
            chosen = [half[i] for half, row in zip(distributions, rows) for i in row]
            pixels = [half[i] for half, row in zip(halves, rows) for i in row]
            prompts = [spoken(captions[i]) for i in of_photos] + ["a dog"] * size * (len(halves) - 1)
            flipped = [bool(share < 0.5) for share in drawn.get("horizontal_flips", torch.ones(size))[:size]]
            for j, i in enumerate(of_photos):
                if flipped[j]:
                    chosen[j], pixels[j] = mirrored[i], pixels[j].flip(1)
                if "caption_dropout" in drawn and drawn["caption_dropout"][j] < job["caption_dropout"]:
                    prompts[j] = ""
            mean, std = (torch.cat([getattr(d, name) for d in chosen]) for name in ("mean", "std"))
            latents = (mean + std * posterior) * vae.config.scaling_factor
            noise = noise + job.get("noise_offset", 0) * drawn.get("noise_offset", 0)
            seen = noise + job.get("input_perturbation", 0) * drawn.get("input_perturbation", 0)
            noisy = schedule.add_noise(latents, seen, timesteps)
            predicts_v = schedule.config.prediction_type == "v_prediction"
            target = schedule.get_velocity(latents, noise, timesteps) if predicts_v else noise
            told = {"canvas": parity.canvas(pipeline, torch.stack(pixels), *canvas)} if canvas else {}
            if "micro_conditioning_0" in job:  # class pictures are whole
                told["numbers"] = parity.encode(pipeline, ["a dog"] * shape[0])["numbers"]
                for j, i in enumerate(of_photos):
                    told["numbers"][j] = torch.tensor([int(number) for number in job[f"micro_conditioning_{i}"].split()])
            if base:
                of_class = ["a dog"] * size
                with torch.no_grad():
                    of_base = parity.predict(base, noisy, timesteps, parity.encode(base, of_class) | told)
                prompts, target = prompts + of_class, torch.cat([target, of_base])
                noisy, timesteps = torch.cat([noisy] * 2), torch.cat([timesteps] * 2)
                told = {key: torch.cat([value] * 2) for key, value in told.items()}
            with torch.autocast("cpu", torch.float16, enabled=float16):
                prediction = parity.predict(pipeline, noisy, timesteps, parity.encode(pipeline, prompts) | told).float()
            weights = None if masks is None else place_weights(job, masks, photos, of_photos, flipped, shape[2:])
            loss = loss_of(job, prediction, target, compute_snr(schedule, timesteps), predicts_v, weights) / passes
            scaler.scale(loss).backward()
            step_loss += loss.item()
        scaler.unscale_(optimizer)
        norms.append(torch.nn.utils.clip_grad_norm_(trained, job["max_grad_norm"]).item())
        scaler.step(optimizer)
        scaler.update()
        lr.step()
        optimizer.zero_grad()
        if average:
            average.step(trained)
        losses.append(step_loss)
    if average:
        average.copy_to(trained)
    return torch.tensor(losses, dtype=torch.float64), torch.tensor(norms, dtype=torch.float64)


def trained_by_us(scratch, text_encoders):
    files = {"unet": "diffusion_pytorch_model.safetensors"} | {name: "model.safetensors" for name in text_encoders}
    return {part: {key.removeprefix("text_model."): value  # which some versions of transformers leave out
                   for key, value in load_file(scratch / "model" / part / file).items()}
            for part, file in files.items()}


def weight_error(ours, reference):
    """Relative to the largest value. Adam moves a weight whose gradient is next to zero by a whole step, to whichever side rounding
    says: where single weights stand apart, by up to ten times as much, the tensor counts in norm."""
    largest = parity.relative_error(ours, reference)
    if ours.shape != reference.shape:
        return largest
    norm = ((ours.double() - reference.double()).norm() / reference.double().norm().clamp_min(1e-30)).item()
    return min(largest, max(norm, largest / 10))


def check_weights(name, ours, before, after, report, weight_limit=WEIGHT_LIMIT, update_limit=UPDATE_LIMIT):
    """ours, before, after (the reference's): dicts of tensors by name."""
    before, after = ({key.removeprefix("text_model."): value for key, value in x.items()} for x in (before, after))
    assert ours.keys() == after.keys()
    errors = {key: weight_error(ours[key], after[key]) for key in after}
    worst = max(errors, key=errors.get)
    report.check(f"{name}: {len(errors)} weights after {STEPS} steps, worst {worst}", errors[worst], weight_limit)
    apart, moved = (sum((x[key].double() - y[key].double()).square().sum() for key in after).sqrt().item()
                    for x, y in ((ours, after), (after, before)))
    if moved == 0:
        report.check(f"{name} is not trained and stays what it was", apart, 0)
    else:
        report.check(f"{name}: what training changed", apart / moved, update_limit)


def check_steps(name, ours, losses, norms, job, report, limit=LOSS_LIMIT):
    """Our losses and norms of gradients beside the reference's."""
    for what, theirs in (("losses", losses), ("grad_norms", norms)):
        apart = ((ours[what] - theirs) / theirs).abs()
        report.check(f"{name}: {what} of {STEPS} steps, from {theirs[0]:.2e} to {theirs[-1]:.2e}",
                     apart.max().item() if len(apart) == STEPS else float("nan"), limit)
    if job["max_grad_norm"] > norms.max():
        raise AssertionError("no gradient was clipped: the test shows nothing of clipping")


def check_case(name, job, args, report, family=None, loss_limit=LOSS_LIMIT, **limits):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        reference = parity.save_random_pipeline(scratch / "base", parity.SIZES.get(family or name, parity.TINY))
        reference.set_progress_bar_config(disable=True)
        size = reference.vae.config.sample_size
        photos = torch.randint(256, (3, size, size, 3), dtype=torch.uint8)
        model = scratch / "base" / "model"
        settings = {key: str(value) for key, value in job.items()}
        masks = torch.randint(256, (2, size, size), dtype=torch.uint8) if "unmasked_weight" in job else None  # of three photos
        ours = run_probe(args.probe, "dreambooth", model, {"photos": photos} | ({} if masks is None else {"masks": masks}),
                         dict(settings, base=str(model), scratch=str(scratch)))

        class_pictures = ours["class_pictures"]
        wanted = torch.from_numpy(draw_class_pictures(reference, job))
        apart = (class_pictures.double() - wanted.double()).abs().max().item() / 255
        report.check(f"{name}: class pictures, largest pixel difference", apart, PIXEL_LIMIT)

        parts = {"unet": reference.unet, **parity.text_encoders(reference)}
        before = {part: {k: v.clone() for k, v in module.state_dict().items()} for part, module in parts.items()}
        losses, norms = train(reference, job, photos, class_pictures, all_weights(reference, job), masks=masks)
        check_steps(name, ours, losses, norms, job, report, loss_limit)
        for part, weights in trained_by_us(scratch, parity.text_encoders(reference)).items():
            check_weights(f"{name}: {part}", weights, before[part], parts[part].state_dict(), report, **limits)


def main():
    args = parity.parse_args(__doc__)
    report = parity.Report()
    diffusers.logging.set_verbosity_error()
    transformers.logging.set_verbosity_error()
    for name, job in CASES.items():
        if args.only in name:
            check_case(name, job, args, report)
    report.exit()


if __name__ == "__main__":
    main()
