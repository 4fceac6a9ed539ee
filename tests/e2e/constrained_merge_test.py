"""Adapters exported as one by constraints, and the same solved for in PyTorch (arXiv 2212.04488, section 3.3, equation 4)."""
import unittest

from service import State
from likeness.v1 import export_pb2
import exporting
from exporting import DIFFUSERS, LORA
from parity import diffusers, torch

CONSTRAINED = export_pb2.ADAPTER_MERGE_CONSTRAINED
PHRASES = {"custom_diffusion": "zwx dog", "other_custom": "sks cat", "key_lora": "hmv cat"}


def features(pipeline, text, first=0):
    """What cross-attention reads of a text, from token `first` (0: the begin) to the end."""
    ids = pipeline.tokenizer(text, truncation=True, padding="max_length", return_tensors="pt").input_ids
    end = (ids[0] == pipeline.tokenizer.eos_token_id).nonzero()[0].item()
    with torch.no_grad():
        return pipeline.text_encoder(ids)[0][0, first:end + 1].double()


def count_of(pipeline, text):
    return len(pipeline.tokenizer(text, add_special_tokens=False).input_ids)


def words_of(pipeline, phrase):
    return features(pipeline, f"a {phrase}", 1 + count_of(pipeline, "a"))


def captions(tokenizer, without):
    """Eight whole words each, evenly spread over the vocabulary."""
    words = [token.removesuffix("</w>") for token in sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get) if token.endswith("</w>")]
    words = [word for word in words if word.isascii() and word.isalpha() and word.islower() and word not in without]
    count = -(-len(words) // 8)
    return [" ".join(words[(i + j * count) % len(words)] for j in range(8)) for i in range(count)]


def projections(pipeline):
    return {name: value.double() for name, value in pipeline.unet.state_dict().items()
            if name.endswith(("attn2.to_k.weight", "attn2.to_v.weight"))}


class ConstrainedMergeTest(exporting.ExportCase):
    methods = ["custom_diffusion", "other_custom", "key_lora", "lora", "svdiff"]

    def exported(self, adapters, **settings):
        done, folder = self.export("baseModels/tiny", DIFFUSERS, adapters, **settings)
        return done, diffusers.DiffusionPipeline.from_pretrained(folder)

    def check_words(self, adapters):
        """The job and the pipeline of all, whose words give what they give with each adapter alone."""
        done, merged = self.exported(adapters, merge=CONSTRAINED)
        for name, strength in adapters:
            words = words_of(merged, PHRASES[name])
            _, alone = self.exported([(name, strength)])
            base = projections(self.base_pipeline())
            for layer, weight in projections(alone).items():
                wanted, found = weight @ words.T, projections(merged)[layer] @ words.T
                self.assertGreater((wanted - base[layer] @ words.T).norm(), 1e-3, layer)
                self.assertLess((found - wanted).norm() / wanted.norm(), 1e-4, layer)
        self.assertLess(done.metrics["merge_word_error"], 1e-5)
        self.assertGreater(done.metrics["merge_caption_change"], 0)
        self.assertNotIn("adapter_overlap", done.metrics)
        return done, merged

    def test_the_words_of_both_give_what_they_give_alone_and_the_captions_change_least(self):
        adapters = [("custom_diffusion", 1), ("other_custom", 0.6)]
        _, merged = self.check_words(adapters)
        base = projections(self.base_pipeline())
        alone = [projections(self.exported([adapter])[1]) for adapter in adapters]
        words = [words_of(merged, PHRASES[name]) for name, _ in adapters]
        target = torch.cat(words)
        texts = captions(self.base_pipeline().tokenizer, ("zwx", "sks"))
        known = torch.cat([features(merged, text) for text in texts] + [
            features(merged, f"{prompt} {text}", 1 + count_of(merged, prompt))
            for prompt in (f"a {PHRASES[name]}" for name, _ in adapters) for text in texts])
        gram = known.T @ known
        gram += torch.eye(len(gram), dtype=gram.dtype) * gram.diagonal().mean() * 1e-6
        d = target @ torch.linalg.inv(gram)
        for layer, weight in base.items():
            values = torch.cat([of[layer] @ rows.T for of, rows in zip(alone, words)], 1)
            wanted = (values - weight @ target.T) @ torch.linalg.inv(d @ target.T) @ d
            found = projections(merged)[layer] - weight
            self.assertLess((found - wanted).norm() / wanted.norm(), 0.01, layer)
        unchanged = self.base_pipeline().unet.state_dict()
        for name, value in merged.unet.state_dict().items():
            if name not in base:
                self.assertTrue(torch.equal(value, unchanged[name]), name)

    def test_a_lora_of_keys_and_values_and_one_adapter_alone_can_be_merged_so(self):
        self.check_words([("custom_diffusion", 1), ("key_lora", 1)])
        self.check_words([("key_lora", 0.5)])

    def test_a_lora_of_the_rank_of_the_words_holds_all_of_it(self):
        done, _ = self.export("baseModels/tiny", LORA, [("custom_diffusion", 1), ("other_custom", 1)], merge=CONSTRAINED, rank=6)
        self.assertLess(done.metrics["lora_weight_error"], 1e-4)

    def test_adapters_of_other_layers_and_of_one_token_are_refused(self):
        second = ["job.export_model.model.adapters[1].model"]
        for name in ("svdiff", "lora"):  # the latter is of "zwx", too
            job = self.spec("baseModels/tiny", DIFFUSERS, [("custom_diffusion", 1), (name, 1)], merge=CONSTRAINED)
            self.assertEqual(self.refused(job), second)
        job = self.spec("baseModels/tiny", DIFFUSERS, [("other_custom", 1), ("lora", 1)], merge=CONSTRAINED)
        done = self.service.wait(self.service.create(job).name)
        self.assertEqual((done.state, done.attempt), (State.JOB_STATE_FAILED, 1), done)
        self.assertRegex(done.error.message, r"tenants/default/models/lora changes \S+: .*attn2.to_k")


if __name__ == "__main__":
    unittest.main()
