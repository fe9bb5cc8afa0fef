"""The Model Context Protocol at `/mcp`: a model looks things up in the memory by itself, through the HTTP API."""
