"""config/SETTINGS.md from the settings in the code: `python -m tests.support.settings_table > config/SETTINGS.md`."""

from __future__ import annotations

from dataclasses import MISSING, fields

from rememberd.settings.loader import iter_fields
from rememberd.settings.schema import Key, Settings

HEAD = """\
# Settings

`rememberd serve --config FILE` reads FILE; without the option `$REMEMBERD_CONFIG`, else `config/rememberd.yaml` if it
exists. [rememberd.yaml](rememberd.yaml) holds every setting with its default.

- **Environment.** `REMEMBERD_SERVER_PORT` sets `server.port`, and so on for every setting. The environment wins over
  the file. `REMEMBERD_ADMIN_KEY_FILE` names a file that holds the value, as secrets of Docker and Kubernetes do.
- **Secrets in the file.** A value `os.environ/NAME` is read from the variable NAME.
- **Models.** `model_list` has LiteLLM's own format: a `config.yaml` of LiteLLM's proxy can be used as it is.
- **Mistakes.** An unknown setting stops the start, and the message names the nearest known one.
- **Changes while it runs.** After `kill -HUP` to `rememberd serve`, new models, aliases, fallbacks and keys are in
  force. If the file has a mistake, the old ones stay and the log says why.
- **Dialects.** It is known which dialects the usual providers speak. An `openai/…` model at an `api_base` of its own
  is assumed to speak chat completions, and is asked whether it has `/responses`; `supported_endpoints` in its
  `model_info` says it outright. `max_input_tokens` there says how many tokens the model takes, block included.

| setting | default | meaning |
|---|---|---|
"""


def shown(value: object) -> str:
    """A value as YAML writes it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def settings_table() -> str:
    """The whole document."""
    rows = []
    for path, item in iter_fields(Settings):
        rows.append(f"| `{'.'.join(path)}` | `{shown(item.default)}` | {item.metadata['about']} |")
        if path == ("keys",):
            for key in fields(Key):
                default = "required" if key.default is MISSING else f"`{shown(key.default)}`"
                rows.append(f"| `keys[].{key.name}` | {default} | {key.metadata['about']} |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(settings_table(), end="")
