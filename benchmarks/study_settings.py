"""The plans of the study: subjects, and what is done to each."""
import dataclasses
import json

from mini_world import ACCESSORIES, MODEL, SCENES

# (class, seed of the identity). The two sets share no subject.
SUBJECTS = {
    "tuning": [("dog", 4), ("teapot", 5), ("robot", 6), ("cat", 7)],
    "held-out": [("dog", 21), ("cat", 22), ("duck", 23), ("robot", 24),
                 ("car", 25), ("boat", 26), ("teapot", 27), ("backpack", 28)],
}
DISTRACTORS = 39      # other identities of the class, among which the subject is to be found
FIRST_DISTRACTOR = 1000
PHOTOS = 4            # learned from, unless the number is what is varied
MOST_PHOTOS = 6
VIEWS = 4             # of the subject, held out: what can be reached, and the loss on what was not learned

# Scenes that no photo of draw-subject shows, and something to wear.
NEW_SCENES = {name: SCENES[name] for name in ("snow", "beach", "city", "cobblestones", "pink-fabric")}
WORN = {name: ACCESSORIES[name] for name in ("red-hat", "black-top-hat")}  # what every class can wear
TOKEN = json.loads((MODEL / "likeness_defaults.json").read_text())["fine_tune"]["subjects"][0]["token"]
PER_PROMPT = 2
OF_CLASS = 8          # pictures of "a dog"
PROMPTS_SHOWN = len(NEW_SCENES | WORN) + 3


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is done to a subject."""
    flags: tuple = ()        # of `likeness train`
    photos: int = PHOTOS     # learned from
    noun: str = ""           # said instead of the subject's class; NO_NOUN for none at all
    trained: bool = True     # or the base model is asked for its class
    export: tuple = ()       # of `likeness export --format=lora`: that LoRA is drawn with, in place of the model itself

    def slug(self):
        """Names the setting in the record and in the file system, whatever a plan calls it."""
        parts = [flag.strip("-") for flag in (*self.flags, *("export",) * bool(self.export), *self.export)]
        parts += [f"{self.photos}-photos"] * (self.photos != PHOTOS) + [f"noun-{self.noun}"] * (self.noun != "")
        parts += ["untrained"] * (not self.trained)
        return "_".join(parts).replace("=", "-") or "recommended"  # contact-sheet takes no = in a path


NO_NOUN = "none"
RECOMMENDED = Setting()
WITHOUT_PRIOR = Setting(("--no-prior",))
LORA = Setting(("--method=lora",))

# What a plan varies: a name for each setting.
PLANS = {
    "recommended": {"before training": Setting(trained=False), "with prior": RECOMMENDED, "without prior": WITHOUT_PRIOR},
    "tower": {"UNet and text encoder": RECOMMENDED, "UNet only": Setting(("--no-train-text-encoder",)),
              "UNet only, 5e-4": Setting(("--no-train-text-encoder", "--learning-rate=5e-4"))},
    "steps": {f"{n} steps": RECOMMENDED if n == 200 else Setting((f"--steps={n}",)) for n in (50, 100, 200, 400, 800)},
    "rates": {f"{rate:g} x {n}": Setting((f"--learning-rate={rate}", f"--steps={n}"))
              for rate in (5e-5, 1e-4, 2e-4, 4e-4) for n in (100, 200, 400)},
    "photos": {f"{n} photo{'s' * (n > 1)}": Setting(photos=n) for n in (1, 2, 3, 4, 5, 6)},
    "methods": {"DreamBooth": RECOMMENDED, "LoRA, rank 16": LORA,
                "LoRA, rank 4": Setting(("--method=lora", "--rank=4")),
                "DoRA, rank 16": Setting(("--method=lora", "--variant=dora")),
                "LoHa, rank 16": Setting(("--method=lora", "--variant=loha", "--learning-rate=6e-3")),
                "LoKr, rank 16": Setting(("--method=lora", "--variant=lokr", "--learning-rate=1e-2")),
                "pivotal tuning": Setting(("--method=pivotal_tuning",)),
                "hypernetwork": Setting(("--method=hypernetwork",)),
                "Custom Diffusion": Setting(("--method=custom_diffusion",)),
                "SVDiff": Setting(("--method=svdiff",)),
                "Textual Inversion": Setting(("--method=textual_inversion",))},
    "sizes": {"DreamBooth": RECOMMENDED,
              **{f"LoRA, rank {rank}": LORA if rank == 16 else Setting((*LORA.flags, f"--rank={rank}")) for rank in (64, 16, 4, 1)},
              "LoRA, rank 16, 8 bits": Setting(LORA.flags, export=("--rank=16", "--float8")),
              **{f"DreamBooth as LoRA, rank {rank}": Setting(export=(f"--rank={rank}",)) for rank in (16, 8, 4, 2)},
              **{f"DreamBooth as LoRA, rank {rank}, 8 bits": Setting(export=(f"--rank={rank}", "--float8")) for rank in (16, 4)}},
    "lengths": {"DreamBooth, 200 steps": RECOMMENDED, "LoRA, 200 steps": LORA,
                **{f"{name}, {steps} steps": Setting((*setting.flags, f"--steps={steps}"))
                   for steps in (100, 50) for name, setting in (("DreamBooth", RECOMMENDED), ("LoRA", LORA))}},
    "class noun": {"right": RECOMMENDED, "wrong": Setting(noun="wrong"),
                   "right, without prior": WITHOUT_PRIOR, "none, without prior": Setting(("--no-prior",), noun=NO_NOUN)},
}
WRONG_NOUN = {"dog": "boat", "cat": "car", "duck": "teapot", "robot": "backpack",
              "car": "cat", "boat": "dog", "teapot": "duck", "backpack": "robot"}


def job_folder(out, setting, subject, seed):
    return out / "jobs" / setting.slug() / f"{subject}-{seed}"
