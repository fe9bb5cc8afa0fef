"""Runs the gateway that the package `tensorzero` embeds, until stdin is closed. Argument: its configuration file.

It runs with that package alone, so it imports nothing of ours. Its base URL is the first line on stdout."""

from __future__ import annotations

import os
import sys

import tensorzero


def main() -> None:
    said = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the gateway's log
    gateway = tensorzero._start_http_gateway(
        config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
    )
    print(gateway.base_url, file=said, flush=True)
    sys.stdin.read()
    gateway.close()


if __name__ == "__main__":
    main()
