"""Every op and setting, declared once."""
