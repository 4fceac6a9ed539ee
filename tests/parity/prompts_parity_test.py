"""Weights in prompts and prompts of several rows against a re-statement of what AUTOMATIC1111's stable-diffusion-webui does with
them: states times weights, brought back to the mean that they had ("Original" emphasis), rows one behind the other. The text
encoders are transformers'."""

import pathlib
import tempfile

import parity
from parity import diffusers, run_probe, torch, transformers

LIMIT = 1e-5

# A prompt as it is written, and its parts with their weights as the web UI's parser gives them.
PROMPTS = {
    "a dog": [("a dog", 1.0)],
    "a (dog) in snow": [("a ", 1.0), ("dog", 1.1), (" in snow", 1.0)],
    "a (dog:1.4) [in] (sn(ow):0.8)": [("a ", 1.0), ("dog", 1.4), (" ", 1.0), ("in", 1 / 1.1), (" ", 1.0), ("sn", 0.8), ("ow", 0.88)],
    "(a:-0.5) \\(dog\\)": [("a", -0.5), (" (dog)", 1.0)],
    "((open dog": [("open dog", 1.21)],
    "": [("", 1.0)],
    "a dog in the (snow:1.3) and many more words (follow:0.5) it": [
        ("a dog in the ", 1.0), ("snow", 1.3), (" and many more words ", 1.0), ("follow", 0.5), (" it", 1.0)],
}


def rows_of(tokenizer, parts):
    """[(ids, weights)] of rows as long as the text encoder reads."""
    ids, weights = [], []
    for text, weight in parts:
        more = tokenizer(text, add_special_tokens=False).input_ids
        ids += more
        weights += [weight] * len(more)
    length = tokenizer.model_max_length
    room = length - 2
    rows = []
    for start in range(0, max(1, len(ids)), room):
        row, weight = ids[start:start + room], weights[start:start + room]
        row = [tokenizer.bos_token_id, *row, tokenizer.eos_token_id]
        rows.append((row + [tokenizer.pad_token_id] * (length - len(row)), [1.0, *weight] + [1.0] * (length - 1 - len(weight))))
    return rows


def states_of(tower, ids, skipped, last):
    """What the family reads of a tower: its last output, normed, or a hidden one as it is."""
    out = tower(torch.tensor([ids]), output_hidden_states=True)
    if not last:
        return out.hidden_states[-(skipped + 2)], out
    if skipped == 0:
        return out.last_hidden_state, out
    inner = getattr(tower, "text_model", tower)
    return inner.final_layer_norm(out.hidden_states[-(skipped + 1)]), out


def weighted(states, weights):
    mean = states.mean()
    states = states * torch.tensor(weights)[None, :, None]
    return states * (mean / states.mean())


def wanted(pipeline, parts, skipped, least_rows):
    towers = list(parity.text_encoders(pipeline).values())
    rows = rows_of(pipeline.tokenizer, parts)
    rows += rows_of(pipeline.tokenizer, [("", 1.0)]) * (least_rows - len(rows))
    told = [[weighted(states_of(tower, ids, skipped, len(towers) == 1)[0], weights) for tower in towers] for ids, weights in rows]
    context = torch.cat([torch.cat(row, -1) for row in told], 1)
    pooled = states_of(towers[-1], rows[0][0], 0, False)[1].text_embeds if len(towers) > 1 else None
    return context, pooled


def check_family(args, report, name):
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch)
        pipeline = parity.save_random_pipeline(directory, parity.SIZES[name])
        most = max(len(rows_of(pipeline.tokenizer, parts)) for parts in PROMPTS.values())
        assert most > 2, "no prompt is long"
        for skipped in (0, 1):
            settings = dict(prompts="\n".join(PROMPTS), clip_skip=str(skipped), weights="1", long_prompts="1")
            ours = run_probe(args.probe, "encode", directory / "model", {}, settings)
            for i, (text, parts) in enumerate(PROMPTS.items()):
                with torch.no_grad():
                    context, pooled = wanted(pipeline, parts, skipped, most)
                what = f"{name}, {skipped} layers left out, {text!r}"
                report.check(what, parity.relative_error(ours["context"][i:i + 1], context), LIMIT)
                if pooled is not None:
                    report.check(f"{what}, pooled", parity.relative_error(ours["pooled"][i:i + 1], pooled), LIMIT)


def main():
    args = parity.parse_args(__doc__)
    report = parity.Report()
    diffusers.logging.set_verbosity_error()
    transformers.logging.set_verbosity_error()
    for name in ("Stable Diffusion 1", "Stable Diffusion XL"):
        check_family(args, report, name)
    report.exit()


if __name__ == "__main__":
    main()
