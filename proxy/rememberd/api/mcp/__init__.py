"""The Model Context Protocol at `/mcp`: models use the memory with tools, which call the HTTP API."""
