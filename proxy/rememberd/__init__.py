"""rememberd: a chat proxy with memory.

Importing this package turns off the telemetry of its libraries, for this process and its children.
"""

import os

__version__ = "0.2.0"

# Libraries read these variables when they are imported, so they must be set before. onnxruntime (from 1.32 on) sends
# a report during its import; the switch in its API would be too late.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # huggingface_hub, behind fastembed
os.environ["DO_NOT_TRACK"] = "1"
# Otherwise litellm downloads its price list and Anthropic's beta headers at its import, and loads a `.env` file.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS"] = "True"
os.environ["LITELLM_MODE"] = "PRODUCTION"
