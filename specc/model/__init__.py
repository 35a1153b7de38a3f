"""The frozen model that a tree is elaborated into, its rules and its report."""
