"""rememberd: a chat proxy with memory.

Importing this package turns off the telemetry of the libraries below it, for this process and its children.
"""

import os

__version__ = "0.2.0"

# Read by the libraries when they are imported, so it must be set before any of them is. onnxruntime (from 1.32 on)
# reports to its maker at its import; a switch in its API comes too late.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # huggingface_hub, behind fastembed
os.environ["DO_NOT_TRACK"] = "1"
# litellm fetches its price list and the list of Anthropic's beta headers at its import, and loads a `.env` file.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS"] = "True"
os.environ["LITELLM_MODE"] = "PRODUCTION"
