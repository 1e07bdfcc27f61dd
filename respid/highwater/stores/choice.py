"""Makes the store that the settings name."""

from respid.highwater.stores import Store, StoreError
from respid.highwater.stores.file import FileStore
from respid.highwater.stores.none import NoStore
from respid.ids.clock import SystemClock
from respid.worker.config import Config


def make_store(config: Config) -> Store:
    """Returns the store of these settings. Raises StoreError if a setting or a library is missing."""
    if config.store == "file":
        if config.state_dir is None:
            raise StoreError("the file store needs a directory: set --state-dir")
        return FileStore(
            config.state_dir,
            config.worker_id,
            config.layout,
            reserve_ms=config.reserve_ms,
            is_exclusive=config.state_dir_exclusive,
            start_above=config.start_above,
        )
    if config.store == "lease":
        from respid.highwater.stores.lease import LeaseStore  # noqa: PLC0415 - other stores start faster without it

        try:
            from respid.highwater.stores.lease_api import KubernetesLeaseApi  # noqa: PLC0415 - an extra, and slow to import
        except ImportError as error:
            raise StoreError(f"the lease store needs {error.name}: pip install 'respid[kubernetes]'") from None
        return LeaseStore(
            KubernetesLeaseApi(pod=config.pod_name, pod_uid=config.pod_uid),
            space=config.lease_id_space,
            worker_id=config.worker_id,
            pod=config.pod_name,
            layout=config.layout,
            reserve_ms=config.reserve_ms,
            monotonic_ns=SystemClock().monotonic_ns,
        )
    return NoStore()
