"""Ten Textual Inversion steps of FineTuneModel against the same loop in PyTorch, and the file in diffusers' own loader.

The reference's embedding is the table with the new rows behind it; the rows alone are trained, as in diffusers' example,
which puts all others back after each step.
"""

import pathlib
import tempfile

import dreambooth_parity_test as dreambooth
import parity
from parity import diffusers, load_file, run_probe, torch, transformers

WORD = "sks"
INVERSION = dict(dreambooth.UNET_ALONE, method="textual_inversion", vectors=2, initial_text="d o", prior_weight=0.0,
                 learning_rate=5e-3, max_grad_norm=1e-4)
CASES = {
    "Stable Diffusion 1": INVERSION,
    "Stable Diffusion 2": dict(INVERSION, vectors=1, initial_text="q", snr_gamma=5.0, gradient_accumulation=2),
    "Stable Diffusion XL": INVERSION,
}
REQUEST = dict(prompt="a sks dog", negative_prompt="", images=2, seed=7, sampler="ddim", steps=10, guidance=5.0, batch_size=2)


class WithRows(torch.nn.Module):
    """An embedding with trained rows behind its own."""

    def __init__(self, table, rows):
        super().__init__()
        self.table, self.rows = table.weight.detach(), torch.nn.Parameter(rows.clone())

    def forward(self, ids):
        return torch.nn.functional.embedding(ids, torch.cat([self.table, self.rows]))


def add_rows(pipeline, job):
    """Puts rows behind the text encoders' tables, and words for them into the tokenizers."""
    initial = pipeline.tokenizer(job["initial_text"], add_special_tokens=False).input_ids
    ids = [initial[k % len(initial)] for k in range(job["vectors"])]
    added = {}
    for part, text in parity.text_encoders(pipeline).items():
        text.requires_grad_(False)
        embeddings = text.get_input_embeddings()
        added[part] = WithRows(embeddings, embeddings.weight.detach()[ids])
        owner = next(module for module in text.modules() if getattr(module, "token_embedding", None) is embeddings)
        owner.token_embedding = added[part]
        # Where the file calls it 2, transformers takes the largest number for the end, which a word behind the vocabulary has.
        getattr(text, "text_model", text).eos_token_id = pipeline.tokenizer.eos_token_id
    pipeline.unet.requires_grad_(False)
    for tokenizer in {id(t): t for t in (pipeline.tokenizer, getattr(pipeline, "tokenizer_2", pipeline.tokenizer))}.values():
        tokenizer.add_tokens(words(job))
    return added


def words(job):
    return [WORD] + [f"{WORD}_{k}" for k in range(1, job["vectors"])]


def check_pictures(name, model, adapter, args, report):
    settings = dict(REQUEST, adapter=adapter, method="textual_inversion", strength=1)
    ours, base = (run_probe(args.probe, "pictures", model, {}, {key: str(value) for key, value in request.items()})["pictures"]
                  for request in (settings, REQUEST))
    moved = (ours.double() - base.double()).abs().max().item() / 255
    report.check(f"{name}: the word changes pictures (the reverse of {moved:.3f})", 1 / max(moved, 1e-9), 1 / 0.01)
    pipeline = diffusers.DiffusionPipeline.from_pretrained(model)
    pipeline.set_progress_bar_config(disable=True)
    parity.load_word(pipeline, adapter, WORD)
    apart = (parity.drawn(pipeline, REQUEST) - ours.double()).abs().max().item() / 255
    report.check(f"{name}: pictures with learned_embeds.safetensors, largest pixel difference", apart, dreambooth.PIXEL_LIMIT)


def check_case(name, job, args, report):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        reference = parity.save_random_pipeline(scratch / "base", parity.SIZES[name])
        size = reference.vae.config.sample_size
        photos = torch.randint(256, (3, size, size, 3), dtype=torch.uint8)
        model = scratch / "base" / "model"
        ours = run_probe(args.probe, "dreambooth", model, {"photos": photos},
                         dict({key: str(value) for key, value in job.items()}, base=str(model), scratch=str(scratch)))
        added = add_rows(reference, job)
        before = {part: module.rows.detach().clone() for part, module in added.items()}
        groups = [dict(params=[module.rows], lr=job["learning_rate"]) for module in added.values()]
        # XL's encode_prompt says all tokens of a word by itself.
        all_tokens = WORD if hasattr(reference, "text_encoder_2") else " ".join(words(job))
        losses, norms = dreambooth.train(reference, job, photos, ours["class_pictures"], groups,
                                         spoken=lambda prompt: prompt.replace(WORD, all_tokens))
        dreambooth.check_steps(name, ours, losses, norms, job, report)
        trained = load_file(scratch / "model" / "learned_embeds.safetensors")
        keys = dict(zip(added, [WORD] if len(added) == 1 else ["clip_l", "clip_g"]))
        assert trained.keys() == set(keys.values())
        for part, module in added.items():
            dreambooth.check_weights(f"{name}: {part}", {"rows": trained[keys[part]]}, {"rows": before[part]},
                                     {"rows": module.rows.detach()}, report)
        assert torch.equal(load_file(scratch / "model" / "a1111_embedding.safetensors")[
            "emb_params" if len(added) == 1 else "clip_l"], trained[keys["text_encoder"]])
        check_pictures(name, model, scratch / "model", args, report)


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
