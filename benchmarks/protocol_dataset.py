"""Subjects and prompts in the layout in which DreamBooth's dataset is published, and the miniature's world in that layout.

A folder of photos for each subject, and prompts_and_classes.txt: lines "subject_name,class" under "Classes", and the prompts of
objects and of live subjects as the lines of two Python lists, 'a {0} {1} in the snow'.format(unique_token, class_token).
"""
import dataclasses
import pathlib
import random
import re

from mini_world import ACCESSORIES, SCENES, draw_subject

LIVE = {"cat", "dog"}  # the classes that the published prompts for live subjects are for
PHOTO_ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}


@dataclasses.dataclass(frozen=True)
class Subject:
    name: str
    noun: str           # its class
    wrong_noun: str     # another subject's
    photos: pathlib.Path
    prompts: tuple      # with {0} for the rare token and {1} for the class

    def prompts_for(self, token_alone=None):
        """Prompts as the service takes them; with the token alone where the subject was learned without a class."""
        return [prompt.replace("{0} {1}", token_alone or "{subject}") for prompt in self.prompts]


class DatasetError(Exception):
    """What is wrong with the dataset, for people."""


def choose(names, asked):
    """Of all names, those that are asked for."""
    if asked is None:
        return names
    if asked.isdigit():
        return names[:int(asked)]
    named = asked.split(",")
    missing = set(named) - set(names)
    if missing:
        raise DatasetError(f"there is no subject {', '.join(sorted(missing))}; there are {', '.join(names)}")
    return [name for name in names if name in named]


def read_dataset(folder, asked=None, count=None):
    """The subjects of a dataset, with the first `count` of their prompts: all, the first so many ("3"), or those that are named
    ("dog,cat"). Photos of the others need not be there."""
    file = folder / "prompts_and_classes.txt"
    if not file.exists():
        raise DatasetError(f"{folder} holds no prompts_and_classes.txt")
    text = file.read_text()
    parts = re.split(r"(?im)^\s*live subject prompts.*$", text)
    classes = dict(re.findall(r"(?m)^(\w+),([\w ]+?)\s*$", re.split(r"(?im)^\s*prompts\s*$", text)[0]))
    classes.pop("subject_name", None)
    lists = [re.findall(r"""(?m)^\s*['"](.*?)['"]\.format""", part) for part in parts]
    if len(lists) != 2 or not all(lists):
        raise DatasetError(f"{file} has no two lists of prompts, of objects and of live subjects")
    subjects = []
    for name in choose(sorted(classes), asked):
        noun = classes[name]
        photos = folder / name
        if not photos.is_dir() or not any(photo.suffix.lower() in PHOTO_ENDINGS for photo in photos.iterdir()):
            raise DatasetError(f"{file} names the subject {name}, of which there is no folder with photos")
        others = sorted(set(classes.values()) - {noun})
        wrong = random.Random(name).choice(others) if others else noun
        subjects.append(Subject(name, noun, wrong, photos, tuple(lists[noun in LIVE][:count])))
    if not subjects:
        raise DatasetError(f"{file} names no subjects")
    return subjects


# The classes of the first subjects in turn, so that every number of them has as many classes as there can be.
WORLD_CLASSES = ["dog", "car", "cat", "teapot", "robot", "boat", "duck", "backpack"]
FIRST_SEED = 21  # those before choose settings (benchmarks/study.py)


def world_prompts():
    """What every class of the world can be drawn in and with: ten scenes, two hats, and hats in scenes, 25 in all. Those that
    the rule STOP_RULE_BEST judges by are not among them."""
    scenes, hats = list(SCENES.values()), [ACCESSORIES["red-hat"], ACCESSORIES["black-top-hat"]]
    judged = {(0, "on the beach"), (1, "in the jungle"), (1, "in the snow"), (0, "with a city in the background"),
              (0, "with a mountain in the background"), (1, "on a cobblestone street")}
    both = [f"{hats[i % 2]} {scene}" for i, scene in enumerate(scenes * 2) if (i % 2, scene) not in judged]
    both += [f"{hats[(i + 1) % 2]} {scene}" for i, scene in enumerate(scenes) if ((i + 1) % 2, scene) not in judged]
    return [f"a {{0}} {{1}} {words}" for words in (scenes + hats + sorted(set(both)))[:25]]


def draw_world(folder, subjects, photos=4):
    """Draws `subjects` of the miniature's world, in the published layout."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for i in range(subjects):
        noun, seed = WORLD_CLASSES[i % len(WORLD_CLASSES)], FIRST_SEED + i
        names.append((f"{noun}_{seed}", noun))
        if not (folder / names[-1][0]).exists():
            draw_subject(noun, seed, photos, folder / names[-1][0])
    prompts = "\n".join(f"'{prompt}'.format(unique_token, class_token)," for prompt in world_prompts())
    (folder / "prompts_and_classes.txt").write_text(
        "Classes\n\nsubject_name,class\n" + "".join(f"{name},{noun}\n" for name, noun in names)
        + f"\nPrompts\n\nObject Prompts\nprompt_list = [\n{prompts}\n]\n\nLive Subject Prompts\nprompt_list = [\n{prompts}\n]\n")
