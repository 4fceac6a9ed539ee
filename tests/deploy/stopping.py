"""How long a stop may take, see docs/operations.md, "Stopping"."""
DRAIN_SECONDS = 30  # of a server, or of a worker but for what follows
CHECKPOINT_BYTES = 10.3e9  # of the whole UNet of Stable Diffusion 1.5
# A worker writes one and uploads it, with a slow disk and a slow line (bytes per second), before it ends.
CHECKPOINT_SECONDS = CHECKPOINT_BYTES / 150e6 + CHECKPOINT_BYTES / (100e6 / 8)
