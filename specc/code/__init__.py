"""Nodes of Python source and the printer that lays them out."""
