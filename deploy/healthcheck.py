"""Exit 0 where the address in SARMAP_HEALTH_URL answers 200, else 1: a container's health."""

import os
import sys
import urllib.request

try:
    url = os.environ["SARMAP_HEALTH_URL"]
    with urllib.request.urlopen(url, timeout=4) as answer:
        sys.exit(0 if answer.status == 200 else 1)
except (OSError, KeyError) as error:
    sys.exit(f"not healthy: {error}")
