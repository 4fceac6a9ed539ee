"""Ten steps of FineTuneModel by each of the other methods against the same loop with peft, diffusers or a re-statement in PyTorch.

Each reference, here or in hypernetwork_reference.py, says what is trained and how it enters the forward pass: DoRA, LoHa and LoKr
by peft, Custom Diffusion by diffusers' attention processor, hypernetworks as AUTOMATIC1111's HypernetworkModule, SVDiff from the
paper's equation. First values follow docs/reproducibility.md. What we wrote is then put into the reference, which must draw what we
draw with it.
"""

import functools
import pathlib
import tempfile

import dreambooth_parity_test as dreambooth
import lora_parity_test as lora
import parity
import textual_inversion_parity_test as inversion
from diffusers.loaders.lora_conversion_utils import _maybe_map_sgm_blocks_to_diffusers
from diffusers.models.attention_processor import CustomDiffusionAttnProcessor
from hypernetwork_reference import Hypernetwork
from parity import diffusers, load_file, run_probe, torch, transformers
from peft import LoHaConfig, LoKrConfig, LoraConfig, inject_adapter_in_model

BASE = dict(dreambooth.UNET_ALONE, learning_rate=1e-3, max_grad_norm=1e-3)
CONVOLUTIONS = "to_q to_v to_out.0 conv1 proj_in conv_shortcut"
UPDATE = dict(BASE, method="lora", rank=4, alpha=3.0, rank_stabilized=0, targets=CONVOLUTIONS)
HYPERNETWORK = dict(BASE, method="hypernetwork", layer_structure="1 2 1", activation="linear", activate_output=0, layer_norm=0,
                    self_attention=1, weight_initialization="normal", max_grad_norm=1e-4)
VARIANTS = ["lora", "dora", "loha", "lokr"]
ORIGINAL_NAMES = dict(input_blocks="down_blocks", middle_block="mid_block", output_blocks="up_blocks", in_layers_2="conv1",
                      skip_connection="conv_shortcut")
REQUEST = lora.REQUEST


class Dora:
    """peft; with LoRA+'s rates where those are asked for."""

    def __init__(self, pipeline, job):
        self.unet = pipeline.unet
        for module in (self.unet, *parity.text_encoders(pipeline).values()):
            module.requires_grad_(False)
        inject_adapter_in_model(self.config(job), self.unet)
        generator = torch.Generator().manual_seed(lora.step_seed(job["seed"], -1))
        with torch.no_grad():
            for _, layer in sorted(self.layers().items()):
                self.begin(layer, job, generator)

    def config(self, job):
        return LoraConfig(r=job["rank"], lora_alpha=job["alpha"], use_dora=job["variant"] == 1, init_lora_weights="gaussian",
                          target_modules=job["targets"].split())

    def begin(self, layer, job, generator):
        down = layer.lora_A["default"].weight
        down.copy_(torch.randn(down.shape, generator=generator) / job["rank"])

    def layers(self):
        return {name: layer for name, layer in self.unet.named_modules() if "default" in getattr(layer, "r", ())}

    def parameters(self):
        """By the names of our checkpoint's factors."""
        return {name.replace(".default", "").replace("lora_magnitude_vector.weight", "lora_magnitude_vector"): parameter
                for name, parameter in self.unet.named_parameters() if parameter.requires_grad}

    def groups(self, job):
        ups, others = [], []
        for name, parameter in self.parameters().items():
            (ups if "lora_B" in name else others).append(parameter)
        return [dict(params=others, lr=job["learning_rate"]), dict(params=ups, lr=job["learning_rate"] * job.get("up_ratio", 1))]

    def ours(self, adapter):
        return {key.removeprefix("unet."): value for key, value in load_file(adapter / "pytorch_lora_weights.safetensors").items()}


class Loha(Dora):
    def config(self, job):
        return LoHaConfig(r=job["rank"], alpha=job["alpha"], target_modules=job["targets"].split())

    def begin(self, layer, job, generator):
        for name in ("hada_w1_a", "hada_w1_b", "hada_w2_a"):
            uniform(getattr(layer, name)["default"], generator)

    def groups(self, job):
        return [dict(params=list(self.parameters().values()), lr=job["learning_rate"])]

    def ours(self, adapter):
        """From LyCORIS' names, of XL those of the original blocks. Each layer has its alpha."""
        layers = {"lora_unet_" + name.replace(".", "_"): name for name in self.layers()}
        found = {}
        written = _maybe_map_sgm_blocks_to_diffusers(load_file(adapter / "lycoris.safetensors"), self.unet.config)
        for key, value in written.items():
            layer, _, factor = key.partition(".")
            if factor != "alpha":
                for original, name in ORIGINAL_NAMES.items():
                    layer = layer.replace(original, name)
                found[f"{layers[layer]}.{factor}"] = value
        return found


class Lokr(Loha):
    def config(self, job):
        return LoKrConfig(r=job["rank"], alpha=job["alpha"], decompose_factor=job["lokr_factor"],
                          target_modules=job["targets"].split())

    def begin(self, layer, job, generator):
        for name in ("lokr_w2", "lokr_w2_a", "lokr_w2_b"):
            if "default" in getattr(layer, name):
                uniform(getattr(layer, name)["default"], generator)
        if "default" in layer.lokr_w2:  # LyCORIS: where there is no rank, there is nothing to divide alpha by
            layer.scaling["default"] = 1


def uniform(tensor, generator):
    """As torch.nn.init.kaiming_uniform_ with a = sqrt(5)."""
    tensor.copy_((torch.rand(tensor.shape, generator=generator) * 2 - 1) / tensor[0].numel() ** 0.5)


class CustomDiffusion:
    """diffusers' processors, and the token's rows as in Textual Inversion."""

    def __init__(self, pipeline, job):
        self.added = inversion.add_rows(pipeline, dict(job, initial_text=inversion.WORD, vectors=len(inversion.WORD)))
        unet = pipeline.unet
        processors = {}
        for name in unet.attn_processors:
            layer = functools.reduce(getattr, name.removesuffix(".processor").split("."), unet)
            if "attn1" in name:
                processors[name] = CustomDiffusionAttnProcessor(train_kv=False, train_q_out=False)
                continue
            processors[name] = CustomDiffusionAttnProcessor(
                train_kv=True, train_q_out=False, hidden_size=layer.to_k.out_features, cross_attention_dim=layer.to_k.in_features)
            processors[name].load_state_dict({"to_k_custom_diffusion.weight": layer.to_k.weight.clone(),
                                              "to_v_custom_diffusion.weight": layer.to_v.weight.clone()})
        self.processors = {name: processor for name, processor in processors.items() if "attn2" in name}
        unet.set_attn_processor(processors)  # which empties it

    def parameters(self):
        return ({f"{name}.{key}": parameter for name, processor in self.processors.items()
                 for key, parameter in processor.named_parameters()}
                | {part: module.rows for part, module in self.added.items()})

    def groups(self, job):
        return [dict(params=list(self.parameters().values()), lr=job["learning_rate"])]

    def ours(self, adapter):
        weights = {key: value for key, value in load_file(adapter / "pytorch_custom_diffusion_weights.safetensors").items()
                   if value.numel() > 0}
        return weights | rows(adapter, self.added)


def rows(adapter, added):
    words = load_file(adapter / "learned_embeds.safetensors")
    return dict(zip(added, words.values() if len(added) == 1 else (words["clip_l"], words["clip_g"])))


class PivotalTuning(Dora):
    def __init__(self, pipeline, job):
        super().__init__(pipeline, job)
        self.added = inversion.add_rows(pipeline, job)
        for name, parameter in self.unet.named_parameters():
            parameter.requires_grad_("lora_" in name)

    def parameters(self):
        return super().parameters() | {part: module.rows for part, module in self.added.items()}

    def groups(self, job):
        words = [module.rows for module in self.added.values()]
        return [dict(params=words, lr=job["vectors_learning_rate"]),
                dict(params=list(Dora.parameters(self).values()), lr=job["learning_rate"])]

    def ours(self, adapter):
        return super().ours(adapter) | rows(adapter, self.added)


class Shifted(torch.nn.Module):
    """2303.11305, section 3.2: U diag(max(s + shift, 0)) V^T."""

    def __init__(self, weight):
        super().__init__()
        self.shape = weight.shape
        self.u, self.s, self.v = torch.linalg.svd(weight.detach().flatten(1), full_matrices=False)
        self.shift = torch.nn.Parameter(torch.zeros_like(self.s))

    def weight(self, shift):
        return (self.u @ torch.diag((self.s + shift).relu()) @ self.v).view(self.shape)

    def forward(self, _):
        return self.weight(self.shift)


class Svdiff:
    def __init__(self, pipeline, job):
        for module in (pipeline.unet, *parity.text_encoders(pipeline).values()):
            module.requires_grad_(False)
        self.shifts = {}
        for name, layer in list(pipeline.unet.named_modules()):
            if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)):
                self.shifts[name] = Shifted(layer.weight)
                torch.nn.utils.parametrize.register_parametrization(layer, "weight", self.shifts[name])

    def parameters(self):
        return {f"unet/{name}.shift": shifted.shift for name, shifted in self.shifts.items()}

    def groups(self, job):
        return [dict(params=list(self.parameters().values()), lr=job["learning_rate"])]

    def ours(self, adapter):
        return load_file(adapter / "spectral_shifts.safetensors")

    def weights(self, shifts):
        """What the shifts make of the layers; they themselves begin at zero, where single ones differ by more than what they do."""
        return {key: self.shifts[key.removeprefix("unet/").removesuffix(".shift")].weight(shift) for key, shift in shifts.items()}


ONE, TWO, XL = "Stable Diffusion 1", "Stable Diffusion 2", "Stable Diffusion XL"
FAMILIES = [ONE, TWO, XL]
METHODS = {  # the reference, the job, and what else the job says of single families
    "LoRA+": (Dora, dict(UPDATE, variant=0, up_ratio=16.0), {}),
    "DoRA": (Dora, dict(UPDATE, variant=1), {XL: dict(targets="to_q to_k to_v to_out.0")}),
    "LoHa": (Loha, dict(UPDATE, variant=2), {}),
    "LoKr": (Lokr, dict(UPDATE, variant=3, lokr_factor=8), {TWO: dict(rank=2, lokr_factor=4)}),
    "hypernetwork": (Hypernetwork, HYPERNETWORK, {
        TWO: dict(activation="leaky_relu", weight_initialization="xavier_uniform"),
        XL: dict(layer_structure="1 1.5 2 1", activation="swish", layer_norm=1, self_attention=0)}),
    "hypernetwork, activated output": (
        Hypernetwork, dict(HYPERNETWORK, activation="softsign", activate_output=1, weight_initialization="kaiming_normal"), {}),
    "pivotal tuning": (PivotalTuning, dict(UPDATE, method="pivotal_tuning", variant=0, vectors=2, initial_text="d o",
                                           vectors_learning_rate=5e-3), {}),
    "Custom Diffusion": (CustomDiffusion, dict(BASE, method="custom_diffusion"), {}),
    "SVDiff": (Svdiff, dict(BASE, method="svdiff"), {}),
}


def spoken(reference, pipeline):
    """The prompt as the reference's tokenizer must be told it; pipelines, and XL's encode_prompt, say all tokens of a word by
    themselves."""
    if not hasattr(reference, "added") or hasattr(pipeline, "text_encoder_2"):
        return lambda prompt: prompt
    vectors = next(iter(reference.added.values())).rows.shape[0]
    all_tokens = " ".join(inversion.words(dict(vectors=vectors)))
    return lambda prompt: prompt.replace(inversion.WORD, all_tokens)


def check_pictures(name, model, adapter, job, reference, pipeline, args, report):
    """With our weights the reference draws what we draw."""
    settings = dict(REQUEST, adapter=adapter, method=job["method"], strength=1)
    ours, base = (run_probe(args.probe, "pictures", model, {}, {key: str(value) for key, value in request.items()})["pictures"]
                  for request in (settings, REQUEST))
    moved = (ours.double() - base.double()).abs().max().item() / 255
    report.check(f"{name}: the adapter changes pictures (the reverse of {moved:.3f})", 1 / max(moved, 1e-9), 1 / 0.005)
    with torch.no_grad():
        written = reference.ours(adapter)
        for key, parameter in reference.parameters().items():
            parameter.copy_(written[key].view(parameter.shape))
    pipeline.set_progress_bar_config(disable=True)
    apart = (parity.drawn(pipeline, REQUEST) - ours.double()).abs().max().item() / 255
    report.check(f"{name}: pictures with our weights, largest pixel difference", apart, dreambooth.PIXEL_LIMIT)
    if not isinstance(reference, CustomDiffusion):
        return
    loaded = diffusers.DiffusionPipeline.from_pretrained(model)
    loaded.set_progress_bar_config(disable=True)
    parity.load_custom_diffusion(loaded, adapter)
    parity.load_word(loaded, adapter, inversion.WORD)
    apart = (parity.drawn(loaded, REQUEST) - ours.double()).abs().max().item() / 255
    report.check(f"{name}: pictures with load_attn_procs, largest pixel difference", apart, dreambooth.PIXEL_LIMIT)


def check_loaders(name, model, adapter, job, args, report):
    """What diffusers itself reads."""
    pipeline = diffusers.DiffusionPipeline.from_pretrained(model)
    pipeline.set_progress_bar_config(disable=True)
    if job.get("variant") == 1:
        pipeline.load_lora_weights(adapter, weight_name="pytorch_lora_weights.safetensors")
    else:
        return
    settings = dict(REQUEST, adapter=adapter, method=job["method"], strength=1)
    ours = run_probe(args.probe, "pictures", model, {}, {key: str(value) for key, value in settings.items()})["pictures"]
    apart = (parity.drawn(pipeline, REQUEST) - ours.double()).abs().max().item() / 255
    report.check(f"{name}: pictures by diffusers' own loader, largest pixel difference", apart, dreambooth.PIXEL_LIMIT)
    lora.check_in_peft(name, model, adapter, 1, ours, report)


def check_case(name, sizes, make_reference, job, args, report):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        pipeline = parity.save_random_pipeline(scratch / "base", parity.SIZES[sizes])
        size = pipeline.vae.config.sample_size
        photos = torch.randint(256, (3, size, size, 3), dtype=torch.uint8)
        model, adapter = scratch / "base" / "model", scratch / "model"
        ours = run_probe(args.probe, "dreambooth", model, {"photos": photos},
                         dict({key: str(value) for key, value in job.items()}, base=str(model), scratch=str(scratch)))
        reference = make_reference(pipeline, job)
        before = {key: value.detach().clone() for key, value in reference.parameters().items()}
        losses, norms = dreambooth.train(pipeline, job, photos, ours["class_pictures"], reference.groups(job),
                                         spoken(reference, pipeline))
        dreambooth.check_steps(name, ours, losses, norms, job, report)
        after = {key: value.detach() for key, value in reference.parameters().items()}
        written = {key: value.view(after[key].shape) for key, value in reference.ours(adapter).items()}
        for key in getattr(reference, "arbitrary", ()):
            for weights in (before, after, written):
                del weights[key]
        if hasattr(reference, "weights"):
            before, after, written = map(reference.weights, (before, after, written))
        lora.check_weights(name, written, before, after, report)
        check_pictures(name, model, adapter, job, reference, pipeline, args, report)
        check_loaders(name, model, adapter, job, args, report)


def main():
    args = parity.parse_args(__doc__)
    report = parity.Report()
    diffusers.logging.set_verbosity_error()
    transformers.logging.set_verbosity_error()
    for sizes in FAMILIES:
        for method, (make_reference, job, of_families) in METHODS.items():
            name = f"{method}, {sizes}"
            if args.only in name:
                check_case(name, sizes, make_reference, job | of_families.get(sizes, {}), args, report)
    report.exit()


if __name__ == "__main__":
    main()
