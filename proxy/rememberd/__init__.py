"""rememberd: a chat proxy with memory."""

__version__ = "0.1.0"
