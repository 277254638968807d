"""Training: losses, the loop over steps, checkpoints and the export of weights."""
