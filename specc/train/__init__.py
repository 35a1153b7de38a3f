"""Training: the loop, the run folder and its report."""
