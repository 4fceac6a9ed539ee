"""A random model of the sizes of Stable Diffusion 1.5, 4 GB in float32."""
import multiprocessing
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def _write(directory, pixels):
    sys.path.insert(0, str(ROOT / "tests/parity"))
    import parity
    sizes = parity.FULL
    sizes.unet["sample_size"], sizes.vae["sample_size"] = pixels // 8, pixels
    parity.save_random_pipeline(directory, sizes)


def write_full_model(directory, pixels=512):
    """Writes it to `directory`/model, in a process of its own, whose memory is free again afterwards. `pixels`: of its pictures."""
    writer = multiprocessing.get_context("spawn").Process(target=_write, args=(pathlib.Path(directory), pixels))
    writer.start()
    writer.join()
    if writer.exitcode != 0:
        sys.exit("the model could not be written")
