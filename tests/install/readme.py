"""The commands of README.md, in order."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def commands():
    """Every command line of the code blocks, with its continuation lines, as a person would type it."""
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)
    lines = "".join(blocks).replace("\\\n", "").splitlines()
    return [line.strip() for line in lines if line.strip()]
