"""Metrics over a whole part of the data, each a meter that takes in batch by batch; one file per kind."""
