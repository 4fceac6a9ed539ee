"""A disk that fails, for fault tests in Python: see tests/support/disk_faults.h."""

import os
import pathlib
import random
import struct

_STEP = struct.Struct("<IIQqq")  # UndoStep of tests/support/disk_faults.h
_OVERWRITTEN, _SYNCED = 1, 2


class DiskFaults:
    """Faults of the files below `root`, for processes started with `environment`."""

    def __init__(self, library, folder, root):
        self._path = pathlib.Path(folder) / "disk-faults"
        self.undo = pathlib.Path(folder) / "disk-undo"
        self.environment = {"LD_PRELOAD": str(library), "LIKENESS_DISK_FAULTS": str(self._path),
                            "LIKENESS_DISK_ROOT": str(root), "LIKENESS_DISK_UNDO": str(self.undo)}
        self.set()

    def set(self, *faults):
        """E.g. "hang jobs.sqlite" or "fail-sync /blobs/ 5"; none: the disk is well."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text("".join(f"{fault}\n" for fault in faults))
        fresh.replace(self._path)


def lose_unsynced(undo, root):
    """Takes back what a process that has ended never fsynced, as a loss of power does to pages. Names stay.

    Returns how many files it changed.
    """
    steps = {}
    data = pathlib.Path(undo).read_bytes()
    at = 0
    while at + _STEP.size <= len(data):
        kind, size, inode, offset, size_before = _STEP.unpack_from(data, at)
        at += _STEP.size
        if kind == _SYNCED or size_before == 0:  # a new file may have the number of one that is gone
            steps.pop(inode, None)
        if kind == _OVERWRITTEN:
            steps.setdefault(inode, []).append((offset, data[at:at + size], size_before))
        at += size
    changed = 0
    for path in pathlib.Path(root).rglob("*"):
        if not path.is_file() or path.name.endswith("-shm"):
            continue
        for offset, overwritten, size_before in reversed(steps.get(path.stat().st_ino, [])):
            with open(path, "r+b") as file:
                file.seek(offset)
                file.write(overwritten)
                file.truncate(size_before)
        changed += path.stat().st_ino in steps
    return changed


def flip_bit(path, chance=random, offset=None):
    """Turns a bit of a file over; `chance` chooses which, of the byte at `offset` or of any. Returns the byte's offset."""
    if offset is None:
        offset = chance.randrange(os.path.getsize(path))
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << chance.randrange(8)]))
    return offset


def cut(path, chance=random):
    """Cuts a file short, at a place that `chance` chooses. Returns its size."""
    size = chance.randrange(os.path.getsize(path))
    os.truncate(path, size)
    return size
