"""The default limits of requests."""

from respid.resp.reader import RequestLimits
from respid.worker.config import Config

_CONFIG = Config(worker_id=1, worker_id_source="test")
DEFAULT_LIMITS = RequestLimits(_CONFIG.max_request_bytes, _CONFIG.max_arguments, _CONFIG.max_inline_bytes)
