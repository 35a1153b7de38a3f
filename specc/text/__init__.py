"""Source text, places in it, and the diagnostics that point there."""
