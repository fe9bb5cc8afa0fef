"""What commands share that talk to a running proxy: HTTP, and text that fits a terminal. No part of the server."""
