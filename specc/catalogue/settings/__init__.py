"""The settings of train and export sections, one family a file."""
