#!/usr/bin/env python3
"""The work of train_step and sample_image done by diffusers, with the same flags and the same JSON.

    diffusers_peer.py train_step --model models/mini --batch-size 4 --threads 2 --json
    diffusers_peer.py sample_image --model models/mini --steps 20 --threads 2 --json

Tuned as a careful user would: latents and prompts that do not change are encoded once, each distinct prompt of a batch
goes through the text encoder once, AdamW is the fused one, attention is PyTorch's scaled_dot_product_attention, pictures
are drawn in inference mode. bfloat16 means autocast under float32 weights in training, bfloat16 weights in sampling.

--engine chooses the execution backend: PyTorch eagerly, torch.compile (UNet, and the VAE's decoder; a C++ compiler is needed), or, for pictures on
the CPU, OpenVINO with static shapes (pip install openvino), which in bfloat16 computes with float32 weights that it converts itself.
"""
import argparse
import json
import resource
import statistics
import time

import diffusers
import numpy
import torch
import transformers

SEED = 1  # as in sample_image
ENGINES = ["eager", "compile", "openvino"]


def now(device):
    """Seconds on the clock, and seconds that this process has computed, over all its threads; the device has nothing left to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return numpy.array([time.perf_counter(), time.process_time()])


def train_step(args):
    """Yields the time of a step: prompts, forward, backward, clipping, AdamW."""
    text = transformers.CLIPTextModel.from_pretrained(args.model, subfolder="text_encoder", dtype=torch.float32).to(args.device)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(args.model, subfolder="tokenizer")
    unet = diffusers.UNet2DConditionModel.from_pretrained(args.model, subfolder="unet", dtype=torch.float32).to(args.device).train()
    if args.engine == "compile":
        unet.compile()
    schedule = diffusers.DDPMScheduler.from_pretrained(args.model, subfolder="scheduler")
    text.train(args.text_encoder).requires_grad_(args.text_encoder)
    ids = tokenizer(["a sks dog", "a dog"], padding="max_length", return_tensors="pt").input_ids.to(args.device)
    row_of_b = torch.tensor([0] * args.batch_size + [1] * args.batch_size, device=args.device)
    with torch.no_grad():
        frozen = text(ids)[0]
    parameters = list(unet.parameters()) + (list(text.parameters()) if args.text_encoder else [])
    optimizer = torch.optim.AdamW(parameters, lr=5e-6, weight_decay=1e-2, fused=True)
    shape = (2 * args.batch_size, unet.config.in_channels, unet.config.sample_size, unet.config.sample_size)
    mean, deviation = torch.randn(shape, device=args.device), 0.1 * torch.rand(shape, device=args.device)

    while True:
        start = now(args.device)
        latents = mean + deviation * torch.randn(shape, device=args.device)
        timesteps = torch.randint(schedule.config.num_train_timesteps, (shape[0],), device=args.device)
        noise = torch.randn(shape, device=args.device)
        noisy = schedule.add_noise(latents, noise, timesteps)
        with torch.autocast(args.device.type, torch.bfloat16, enabled=args.dtype == "bfloat16"):
            context = (text(ids)[0] if args.text_encoder else frozen)[row_of_b]
            prediction = unet(noisy, timesteps, context).sample
        instance, prior = (prediction.float() - noise).square().chunk(2)
        loss = instance.mean() + prior.mean()
        loss.item()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        yield now(args.device) - start, {}


def to_openvino(module, args, *inputs):
    """What computes the first of the outputs of `module`, a model for inputs of these shapes alone."""
    import openvino

    class First(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.module = module.requires_grad_(False)

        def forward(self, *values):
            output = self.module(*values, **({"return_dict": False} if isinstance(module, diffusers.ModelMixin) else {}))
            return output[0] if isinstance(output, tuple) else output

    with torch.inference_mode():
        model = openvino.convert_model(First(), example_input=inputs, input=[list(value.shape) for value in inputs])
    compiled = openvino.Core().compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": args.threads, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if args.dtype == "bfloat16" else "f32"})
    return lambda *values: torch.from_numpy(compiled([value.numpy() for value in values])[0].copy())


def put_into_openvino(pipeline, args):
    unet, decoder = pipeline.unet, pipeline.vae.decoder
    latents = torch.zeros(2, unet.config.in_channels, unet.config.sample_size, unet.config.sample_size)
    context = torch.zeros(2, pipeline.tokenizer.model_max_length, unet.config.cross_attention_dim)
    predict = to_openvino(unet, args, latents, torch.tensor(1), context)
    decode = to_openvino(decoder, args, latents[:1])
    unet.forward = lambda sample, timestep, encoder_hidden_states, **_: (predict(sample, timestep, encoder_hidden_states),)
    decoder.forward = lambda sample, *_: decode(sample)


def sample_image(args):
    """Yields the time of a picture, from the prompt to its pixels."""
    dtype = torch.float32 if args.engine == "openvino" else getattr(torch, args.dtype)
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(args.model, safety_checker=None, dtype=dtype).to(args.device)
    if args.engine == "compile":
        pipeline.unet.compile()
        pipeline.vae.decoder.compile()
    if args.engine == "openvino":
        put_into_openvino(pipeline, args)
    pipeline.scheduler = diffusers.DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    unet = pipeline.unet.config
    shape = (1, unet.in_channels, unet.sample_size, unet.sample_size)
    while True:
        start = now(args.device)
        with torch.inference_mode():
            noise = torch.randn(shape, generator=torch.Generator().manual_seed(SEED))  # in bfloat16 it would be another
            image = pipeline("a dog", num_inference_steps=args.steps, guidance_scale=args.guidance,
                             latents=noise.to(args.device, pipeline.dtype)).images[0]
        yield now(args.device) - start, {"mean_pixel": numpy.asarray(image).mean().item()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train_step", "sample_image"])
    parser.add_argument("--model", default="models/mini")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--device", type=torch.device, default="cpu", help="cpu or cuda:N")
    parser.add_argument("--engine", default="eager", choices=ENGINES, help="execution backend")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--text-encoder", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=7.5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.engine == "openvino" and (args.what == "train_step" or args.device.type != "cpu"):
        parser.error("--engine openvino is for sample_image on the CPU")
    torch.set_num_threads(args.threads)
    for library in (diffusers, transformers):
        library.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()

    laps, extra = [], {}
    work = {"train_step": train_step, "sample_image": sample_image}[args.what](args)
    for i in range(args.warm_up + args.repetitions):
        taken, extra = next(work)
        if i >= args.warm_up:
            laps.append(taken.tolist())
    peak_gib = (torch.cuda.max_memory_allocated(args.device) / 2**30 if args.device.type == "cuda" else
                resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
    seconds, cpu_seconds = zip(*laps)
    result = dict(what=args.what, seconds=seconds, cpu_seconds=cpu_seconds, peak_gib=peak_gib, threads=args.threads,
                  dtype=args.dtype, **extra)
    wall, cpu = (1000 * statistics.median(values) for values in (seconds, cpu_seconds))
    print(json.dumps(result) if args.json else
          f"{args.what}: median {wall:.1f} ms of {len(seconds)} ({cpu:.1f} ms of CPU), {args.threads} threads, "
          f"{args.dtype}, peak memory {peak_gib:.2f} GiB")


if __name__ == "__main__":
    main()
