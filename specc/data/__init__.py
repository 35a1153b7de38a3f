"""Where training data comes from, and how files are written safely."""
