"""The health check of every image: a worker's ready file, or the answer of a service's /readyz."""

import os
import sys
import urllib.request

if ready_file := os.environ.get("SLM_READY_FILE"):
    sys.exit(not os.path.exists(ready_file))
urllib.request.urlopen(f"http://127.0.0.1:{os.environ['SLM_HEALTH_PORT']}/readyz", timeout=3)
