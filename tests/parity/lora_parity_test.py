"""Ten LoRA steps of FineTuneModel against the same loop with peft, and the files that come out in diffusers' own loader.

The first values of the updates follow docs/reproducibility.md. What comes out must draw in diffusers, loaded by
load_lora_weights from either format, what it draws in ours; so must it in peft, loaded by PeftModel.from_pretrained as
docs/exports.md says. With a rank that depends on the timestep (T-LoRA), which neither peft nor
diffusers have, the reference is peft with masks behind its down projections, and its own weights are drawn with.
"""

import pathlib
import tempfile

import dreambooth_parity_test as dreambooth
import parity
from parity import diffusers, load_file, run_probe, torch, transformers
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import get_peft_model_state_dict

TEXT_TARGETS = ["q_proj", "k_proj", "v_proj", "out_proj"]
LORA = dict(dreambooth.UNET_ALONE, method="lora", rank=4, alpha=4.0, rank_stabilized=0, learning_rate=1e-3,
            targets="to_q to_k to_v to_out.0", max_grad_norm=0.01)
T_LORA = dict(LORA, rank=6, min_rank=2, targets="to_q to_k to_v to_out.0 conv1 proj_in time_emb_proj")
CASES = {
    "Stable Diffusion 1": dict(LORA, text_encoder_learning_rate=1e-4),
    "Stable Diffusion 2": dict(LORA, rank=2, alpha=3.0, rank_stabilized=1, targets="to_q to_v conv1 proj_in conv_shortcut"),
    "Stable Diffusion XL": dict(LORA, alpha=1.0, text_encoder_learning_rate=1e-4, gradient_accumulation=2,
                                targets="to_q to_k to_v to_out.0 proj_in proj_out conv1 conv2 time_emb_proj conv_shortcut"
                                        " downsamplers.0.conv upsamplers.0.conv conv_in conv_out time_embedding.linear_1"
                                        " add_embedding.linear_2"),
    "Stable Diffusion 1, T-LoRA": dict(T_LORA, text_encoder_learning_rate=1e-4, gradient_checkpointing=1),
    "Stable Diffusion 2, T-LoRA": T_LORA,
    "Stable Diffusion XL, T-LoRA": T_LORA,
}
REQUEST = dict(prompt="a sks dog", negative_prompt="", images=2, seed=7, sampler="ddim", steps=10, guidance=5.0, batch_size=2)
STRENGTH = 0.8


def step_seed(seed, step):
    return ((seed + 1) * 2654435761 + step) & 0xFFFFFFFF


def add_adapters(pipeline, job):
    """peft's adapters with the first values that the record of random numbers gives; groups of an optimizer."""
    generator = torch.Generator().manual_seed(step_seed(job["seed"], -1))
    groups = []
    rates = {"unet": job["learning_rate"]}
    if job["text_encoder_learning_rate"]:
        rates |= {name: job["text_encoder_learning_rate"] for name in parity.text_encoders(pipeline)}
    for module in (pipeline.unet, *parity.text_encoders(pipeline).values()):
        module.requires_grad_(False)
    for part, rate in rates.items():
        module = getattr(pipeline, part)
        module.add_adapter(LoraConfig(
            r=job["rank"], lora_alpha=job["alpha"], use_rslora=bool(job["rank_stabilized"]), init_lora_weights="gaussian",
            target_modules=job["targets"].split() if part == "unet" else TEXT_TARGETS))
        adapted = [(name, layer) for name, layer in module.named_modules() if hasattr(layer, "lora_A")]
        for _, layer in sorted(adapted, key=lambda entry: entry[0].removeprefix("text_model.")):
            down = layer.lora_A["default"].weight
            down.data.copy_(torch.randn(down.shape, generator=generator) / job["rank"])
        groups.append(dict(params=[p for p in module.parameters() if p.requires_grad], lr=rate))
    return groups


def mask_ranks(unet, job):
    """T-LoRA, arXiv 2507.05964: at timestep t of T the first (T - t) / T (rank - min_rank) + min_rank ranks act, rounded down."""
    acting = {}
    longest = 1000

    def begin(module, args, kwargs):
        timesteps = kwargs["timestep"] if "timestep" in kwargs else args[1]
        ranks = [int((longest - t) * (job["rank"] - job["min_rank"]) / longest) + job["min_rank"]
                 for t in torch.as_tensor(timesteps).reshape(-1).tolist()]
        acting["mask"] = (torch.arange(job["rank"]) < torch.tensor(ranks)[:, None]).float()

    def mask(module, args, h):
        shape = [1] * h.dim()
        shape[0], shape[1 if h.dim() == 4 else -1] = acting["mask"].shape
        return h * acting["mask"].view(shape)

    unet.register_forward_pre_hook(begin, with_kwargs=True)
    for layer in unet.modules():
        if hasattr(layer, "lora_A"):
            layer.lora_A["default"].register_forward_hook(mask)


def ours_as_peft(file):
    """The file's tensors by part and peft's names."""
    parts = {}
    for key, value in load_file(file).items():
        part, _, name = key.partition(".")
        parts.setdefault(part, {})[name.removeprefix("text_model.")] = value
    return parts


# Twice that of models' own weights, which move little: by sums in another order T-LoRA of XL is 6.1e-5 apart with AVX2, and
# 1.03e-4 with AVX-512.
WEIGHT_LIMIT = 2e-4


def check_weights(name, ours, before, after, report):
    """Up projections begin at zero: they are all update, and AdamW makes as much of a gradient that is rounding error as of
    any other. So each tensor is held against the reference in norm, not by its worst value."""
    before, after = ({key.removeprefix("text_model."): value.double() for key, value in x.items()} for x in (before, after))
    assert ours.keys() == after.keys()
    apart = {key: (ours[key].double() - after[key]).norm().item() for key in after}
    errors = {key: apart[key] / max(after[key].norm().item(), 1e-30) for key in after}  # XL leaves the last layer of a tower out
    worst = max(errors, key=errors.get)
    report.check(f"{name}: {len(errors)} weights after {dreambooth.STEPS} steps, in norm, worst {worst}", errors[worst], WEIGHT_LIMIT)
    moved = sum((after[key] - before[key]).square().sum().item() for key in after) ** 0.5
    report.check(f"{name}: what training changed", sum(value**2 for value in apart.values()) ** 0.5 / moved, dreambooth.UPDATE_LIMIT)


def check_pictures(name, model, adapter, job, args, report):
    """Ours, and diffusers' with either file in its own loader."""
    settings = dict(REQUEST, adapter=adapter, method="lora", strength=STRENGTH)
    ours = run_probe(args.probe, "pictures", model, {}, {key: str(value) for key, value in settings.items()})["pictures"]
    base = run_probe(args.probe, "pictures", model, {}, {key: str(value) for key, value in REQUEST.items()})["pictures"]
    moved = (ours.double() - base.double()).abs().max().item() / 255
    report.check(f"{name}: the adapter changes pictures (the reverse of {moved:.3f})", 1 / max(moved, 1e-9), 1 / 0.02)
    for file in ("pytorch_lora_weights.safetensors", "kohya_lora.safetensors"):
        pipeline = diffusers.DiffusionPipeline.from_pretrained(model)
        pipeline.set_progress_bar_config(disable=True)
        pipeline.load_lora_weights(adapter, weight_name=file, adapter_name="ours")
        pipeline.set_adapters(["ours"], [STRENGTH])
        apart = (parity.drawn(pipeline, REQUEST) - ours.double()).abs().max().item() / 255
        report.check(f"{name}: pictures with {file}, largest pixel difference", apart, dreambooth.PIXEL_LIMIT)
    check_in_peft(name, model, adapter, STRENGTH, ours, report)


def check_in_peft(name, model, adapter, strength, ours, report):
    """PeftModel holds every tensor of the file, and draws what we draw."""
    file = adapter / "pytorch_lora_weights.safetensors"
    load = parity.documented("exports.md", "load_in_peft")
    pipeline = diffusers.DiffusionPipeline.from_pretrained(model)
    pipeline.set_progress_bar_config(disable=True)
    with tempfile.TemporaryDirectory() as scratch:
        for part, written in ours_as_peft(file).items():
            adapted = load(getattr(pipeline, part), part, file, pathlib.Path(scratch) / part)
            held = {key.removeprefix("base_model.model.").removeprefix("text_model."): value
                    for key, value in get_peft_model_state_dict(adapted).items()}
            assert held.keys() == written.keys() and all(torch.equal(held[key], written[key]) for key in held)
            for layer in adapted.modules():
                if isinstance(layer, BaseTunerLayer):
                    layer.scale_layer(strength)
    apart = (parity.drawn(pipeline, REQUEST) - ours.double()).abs().max().item() / 255
    report.check(f"{name}: pictures with PeftModel, largest pixel difference", apart, dreambooth.PIXEL_LIMIT)


def check_pictures_of_masked(name, model, pipeline, adapter, job, args, report):
    """Ours, and the trained reference's with its masks; and that diffusers' loader refuses the file in place of drawing otherwise."""
    settings = dict(REQUEST, adapter=adapter, method="lora", strength=1)
    ours, base = (run_probe(args.probe, "pictures", model, {}, {key: str(value) for key, value in request.items()})["pictures"].double()
                  for request in (settings, REQUEST))
    pipeline.set_progress_bar_config(disable=True)
    report.check(f"{name}: pictures, largest pixel difference", (parity.drawn(pipeline, REQUEST) - ours).abs().max().item() / 255,
                 dreambooth.PIXEL_LIMIT)
    report.check(f"{name}: the adapter changes pictures (reverse)", 1 / max((ours - base).abs().max().item() / 255, 1e-9), 1 / 0.02)
    assert [file.name for file in adapter.glob("*.safetensors")] == ["t_lora.safetensors"]
    plain = diffusers.DiffusionPipeline.from_pretrained(model)
    try:
        plain.load_lora_weights(adapter, weight_name="t_lora.safetensors")
    except TypeError:
        return
    raise AssertionError("diffusers loads a file of T-LoRA, and would draw with all ranks")


def check_case(name, job, args, report):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        reference = parity.save_random_pipeline(scratch / "base", parity.SIZES[name.split(",")[0]])
        size = reference.vae.config.sample_size
        photos = torch.randint(256, (3, size, size, 3), dtype=torch.uint8)
        model = scratch / "base" / "model"
        settings = {key: str(value) for key, value in job.items()}
        ours = run_probe(args.probe, "dreambooth", model, {"photos": photos},
                         dict(settings, base=str(model), scratch=str(scratch)))
        groups = add_adapters(reference, job)
        before = {part: {key: value.clone() for key, value in get_peft_model_state_dict(getattr(reference, part)).items()}
                  for part in ("unet", *(parity.text_encoders(reference) if len(groups) > 1 else {}))}
        if "min_rank" in job:
            mask_ranks(reference.unet, job)
        losses, norms = dreambooth.train(reference, job, photos, ours["class_pictures"], groups)
        dreambooth.check_steps(name, ours, losses, norms, job, report)
        file = "t_lora.safetensors" if "min_rank" in job else "pytorch_lora_weights.safetensors"
        trained = ours_as_peft(scratch / "model" / file)
        assert trained.keys() == before.keys()
        for part, weights in trained.items():
            check_weights(f"{name}: {part}", weights, before[part],
                          get_peft_model_state_dict(getattr(reference, part)), report)
        if "min_rank" in job:
            check_pictures_of_masked(name, model, reference, scratch / "model", job, args, report)
        else:
            check_pictures(name, model, scratch / "model", job, args, report)


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
