"""Holds what a campaign's actors were told against what the server kept.

A history is a list of entries in order of time (history.py). It ends with what was found once all was quiet:
  {"entry": "job"}      a job that is there, with its outputs and label "operation"
  {"entry": "stored"}   an event of it: seq, commit (its number in the one order of all commits), kind and the facts of its kind
  {"entry": "model"}    a personalized model, with its job and files
  {"entry": "blob"}     a blob's name and the digest of its bytes ("" where it is missing)
  {"entry": "bytes"}    how many bytes a tenant has stored
  {"entry": "found"}    what a server said of a job of a copy that was damaged (aftermath.py)

In between stand calls and their replies, what watchers and webhooks were told, and faults. At its beginning stands how the
server was set up:
  {"entry": "quota"}       what a tenant may have
  {"entry": "collection"}  it removes blobs that no job names

The promises themselves stand in promises/.
"""
import pathlib
import sys

import promises


def check(entries, checks=None):
    """Every broken promise, as "name of the check: sentence"."""
    facts = promises.Facts(entries)
    return [f"{one.__name__}: {sentence}" for one in checks or promises.CHECKS for sentence in one(facts)]


if __name__ == "__main__":
    sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
    import history
    violations = check(history.read(sys.argv[1:]))
    print("\n".join(violations) or "no violation")
    sys.exit(bool(violations))
