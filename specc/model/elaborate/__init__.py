"""The one walk that unrolls a tree into a model and infers every size."""
