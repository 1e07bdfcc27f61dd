"""Measures how the traffic of real drivers follows the workers of a release on a cluster.

    python -m tests.cluster.moving scale --output /tmp/after
    python -m tests.cluster.moving keda upgrade --output /tmp/keda
    python -m tests.cluster.moving scale --value moveToNewWorkers=false --output /tmp/before

It installs the chart with one worker, starts the programs of `load.py`, and takes the steps in the given order: `scale`
sets the number of workers to four, `keda` waits until KEDA does, `upgrade` replaces all of them. For each step it
writes OUTPUT-STEP.csv and prints what happened. It needs KUBECONFIG, kubectl, helm and an image (RESPID_TEST_IMAGE).
It has to run where the Service's address can be reached, such as on a node.
"""

import argparse
import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import moving
from tests.cluster import load
from tests.cluster.installation import Namespace, Release, Values, wait_for
from tests.cluster.load import Program
from tests.cluster.observer import Observer, record

WORKERS = 4
PROMETHEUS = os.environ.get("RESPID_TEST_PROMETHEUS", "http://prometheus-k8s.monitoring.svc.cluster.local")
BEFORE_SECONDS = 15
# KEDA with the default windows and behavior. The target is a quarter of what the programs draw, or a little less.
_RATE = (
    len(load.KINDS) * int(load.SIZES["POOLS"]) * int(load.SIZES["CONNECTIONS"]) * 1000 / int(load.SIZES["PERIOD_MS"])
)
_LIMIT = 4_096_000
AUTOSCALING: Values = {
    "enabled": True,
    "minReplicas": 1,
    "maxReplicas": WORKERS,
    "keda": {"enabled": True, "prometheusServerAddress": PROMETHEUS, "targetUtilization": 0.28 * _RATE / _LIMIT},
}
VALUES: Values = {"autoscaling": {"enabled": False}, "replicaCount": 1, "maxConnectionAgeSeconds": 600}


class Experiment:
    """A release under load, and what was seen of it."""

    def __init__(self, release: Release, programs: list[Program], observer: Observer, began_at: float) -> None:
        self.release, self.programs, self.observer = release, programs, observer
        self.moving = [each.kind.name for each in programs if each.kind.moves]
        self._began_at = began_at  # of the next recording, in seconds since 1970

    def record(self, step: Callable[[Release], None], seconds: float) -> moving.Recording:
        """Takes a step and waits. Returns what was recorded since the last step, or since the load began."""
        time.sleep(BEFORE_SECONDS)
        step(self.release)
        time.sleep(seconds)
        begin, self._began_at = self._began_at, time.time() - 1  # IDs of the last second may still be on their way
        return record(self.observer.looks, self.programs, begin, self._began_at)


@contextlib.contextmanager
def experiment(release: Release, *values: Values) -> Iterator[Experiment]:
    """Installs the release with one worker and starts the load. At the end the programs have had their last reply."""
    release.install(VALUES, *values)
    release.namespace.kubectl("rollout", "status", f"statefulset/{release.name}", "--timeout=240s")
    address = release.namespace.get("service", release.name)["spec"]["clusterIP"]
    with Observer(release) as observer:
        began_at = time.time()
        programs = load.start(address, 6379)
        try:
            yield Experiment(release, programs, observer, began_at)
        finally:
            for program in programs:
                program.finish()
            report_ids(programs, observer)


def report_ids(programs: list[Program], observer: Observer) -> None:
    drawn = sum(len(program.ids) for program in programs)
    _say(f"{drawn} IDs drawn, {load.repeated(programs)} repeated, {observer.issued() - drawn} lost")


def scale(release: Release) -> None:
    release.scale(WORKERS)
    wait_for(lambda: release.ready == WORKERS, "the workers are ready")


def keda(release: Release) -> None:
    wait_for(lambda: release.ready == WORKERS, "KEDA has added workers, and they are ready")


def upgrade(release: Release) -> None:
    release.namespace.kubectl("rollout", "restart", f"statefulset/{release.name}")
    release.wait_for_rollout()


STEPS = {"scale": (scale, 120), "keda": (keda, 120), "upgrade": (upgrade, 80)}


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a program's output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="+", choices=list(STEPS))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--value", action="append", default=[], help="a value of the chart, NAME=JSON")
    options = parser.parse_args()
    values = {name: json.loads(text) for name, _, text in (each.partition("=") for each in options.value)}
    if "keda" in options.steps:
        values["autoscaling"] = AUTOSCALING
    namespace = Namespace(f"respid-moving-{int(time.time())}")
    try:
        with experiment(Release(namespace), values) as running:
            for step in options.steps:
                recording = running.record(*STEPS[step])
                moving.write(Path(f"{options.output}-{step}.csv"), recording)
                _say(f"{step}:\n{moving.table(recording, running.moving)}")
                for program in running.programs:
                    if errors := program.errors_between(0, time.time()):
                        _say(f"{program.kind.name}: {errors.total()} errors: {errors.most_common(4)}")
    finally:
        namespace.delete()


if __name__ == "__main__":
    main()
