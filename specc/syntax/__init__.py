"""From the text of a .net file to a frozen tree, and back to its canonical form."""
