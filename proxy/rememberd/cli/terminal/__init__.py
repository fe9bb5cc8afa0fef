"""Shared by commands that call a running proxy: an HTTP client and terminal output. The server does not use it."""
