"""`rememberd`: the command line. Thin: it reads arguments, says what happens, and hands over."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from proxy import __version__
from proxy.errors import ConfigError, Unavailable
from proxy.settings import Settings, load

log = logging.getLogger("rememberd")

CONFIG_ERROR = 2  # the exit code that tells the supervisor not to try again
_USUAL_CONFIG = Path("config/rememberd.yaml")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        return int(arguments.run(arguments))
    except ConfigError as error:
        print(f"rememberd: {error}", file=sys.stderr)
        return CONFIG_ERROR
    except Unavailable as error:
        log.error("%s", error)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rememberd", description="A chat proxy with memory.")
    parser.add_argument("--version", action="version", version=f"rememberd {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, about in (
        ("serve", _serve, "run the proxy: web processes and the writer, restarted when they die"),
        ("web", _web, "run one web process"),
        ("writer", _writer, "run the writer: it keeps the memories and learns from the turns"),
        ("check", _check, "look at the settings and everything they name; say what is wrong"),
        ("audit", _audit, "find duplicates, junk, contradictions and secrets among the memories; repair them"),
        ("demo", _demo, "see a fact told to one model come back from another; needs no key and no network"),
    ):
        command = commands.add_parser(name, help=about, description=about)
        command.set_defaults(run=run)
        if name != "demo":
            command.add_argument("--config", type=Path, help="the YAML file (default: config/rememberd.yaml)")
        if name == "audit":
            _audit_options(command)
        if name in ("web", "writer"):
            command.add_argument("--parent-fd", type=int, help=argparse.SUPPRESS)
        if name == "web":
            command.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    return parser


def _audit_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--user", help="of this user only")
    command.add_argument("--scope", help="of this scope only")
    command.add_argument(
        "--fix",
        action="store_true",
        help="merge duplicates, redact secrets, close outdated values, delete what has expired; say what was done",
    )
    command.add_argument("--json", action="store_true", help="everything, as JSON")
    command.add_argument(
        "--show-text", action="store_true", help="with the first words of each memory, digits masked"
    )


def _settings(arguments: argparse.Namespace) -> Settings:
    return load(_config_file(arguments), os.environ)


def _config_file(arguments: argparse.Namespace) -> Path | None:
    """What was named, or the usual file where there is one."""
    if arguments.config is not None:
        return Path(arguments.config)
    if named := os.environ.get("REMEMBERD_CONFIG"):
        return Path(named)
    return _USUAL_CONFIG if _USUAL_CONFIG.exists() else None


def _serve(arguments: argparse.Namespace) -> int:
    from proxy import serve

    return asyncio.run(serve.serve(_settings(arguments), _config_file(arguments), os.environ))


def _web(arguments: argparse.Namespace) -> int:
    from proxy import serve

    settings = _settings(arguments)
    listener = socket.socket(fileno=arguments.fd) if arguments.fd is not None else serve.listen(settings.server)
    config = _config_file(arguments)
    return serve.run(serve.web(settings, config, os.environ, listener, arguments.parent_fd))


def _writer(arguments: argparse.Namespace) -> int:
    from proxy import serve

    return serve.run(serve.writer(_settings(arguments), os.environ, arguments.parent_fd))


def _check(arguments: argparse.Namespace) -> int:
    from proxy.check import check

    return asyncio.run(check(_settings(arguments), os.environ))


def _audit(arguments: argparse.Namespace) -> int:
    from proxy.audit import audit

    return asyncio.run(
        audit(
            _settings(arguments),
            user=arguments.user,
            scope=arguments.scope,
            fix=arguments.fix,
            as_json=arguments.json,
            show_text=arguments.show_text,
        )
    )


def _demo(arguments: argparse.Namespace) -> int:
    from proxy.demo import demo

    return asyncio.run(demo(os.environ))


if __name__ == "__main__":
    sys.exit(main())
