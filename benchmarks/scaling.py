"""Records how the number of workers follows the load on a real cluster: generates the load and samples the cluster.

    python -m benchmarks.scaling record docs/scaling.csv --namespace NS --name NAME --address HOST:PORT
    python -m benchmarks.scaling plot docs/scaling.csv docs/scaling.svg

Install the release with KEDA first. This program needs kubectl and access to Prometheus (--prometheus). It changes
nothing in the cluster, and plots the samples as they are.
"""

import argparse
import asyncio
import csv
import io
import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.plot import COLOURS, INK, SETTINGS

BLOCK = 2000  # IDs per request
CONNECTIONS = 32
CONNECTION_SECONDS = 20  # then it is reopened, perhaps to a new pod
SAMPLE_SECONDS = 5
IDLE_BEFORE_SECONDS = 60


class Sample(NamedTuple):
    """The state of the release at a number of seconds after the start."""

    seconds: float
    asked_ids: float  # per second, requested by the load
    ids: float  # per second, issued
    exhausted: float  # sequences exhausted with requests waiting, in the last minute
    replicas: int  # the number of pods requested from the StatefulSet
    ready: int


class Load:
    """Connections that request blocks at a steady rate, or slower if they are not answered in time."""

    def __init__(self, host: str, port: int) -> None:
        self.ids_a_second = 0.0
        self._address = host, port

    async def run(self) -> None:
        await asyncio.gather(*(self._connect_again_and_again(number) for number in range(CONNECTIONS)))

    async def _connect_again_and_again(self, number: int) -> None:
        await asyncio.sleep(number / CONNECTIONS * CONNECTION_SECONDS)  # so that they are reopened one after the other
        while True:
            try:
                reader, writer = await asyncio.open_connection(*self._address)
                await self._ask(reader, writer)
                writer.close()
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.5)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = time.monotonic() + CONNECTION_SECONDS
        due = time.monotonic()
        while (now := time.monotonic()) < end:
            if not self.ids_a_second:
                await asyncio.sleep(0.1)
                continue
            due = max(due, now - 0.1)  # a longer delay is not made up for
            if due > now:
                await asyncio.sleep(due - now)
            due += CONNECTIONS * BLOCK / self.ids_a_second
            writer.write(b"INCRBY orders %d\r\n" % BLOCK)
            await reader.readuntil(b"\r\n")


class Observer:
    """Reads the state of a release from kubectl and Prometheus."""

    def __init__(self, namespace: str, name: str, prometheus: str) -> None:
        self._namespace, self._name, self._prometheus = namespace, name, prometheus
        self._selector = f'namespace="{namespace}",service="{name}-headless"'

    def sample(self, seconds: float, asked_ids: float) -> Sample:
        command = ["kubectl", "--namespace", self._namespace, "get", "statefulset", self._name, "-o", "json"]
        state = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return Sample(
            round(seconds, 1),
            asked_ids,
            round(self._ask(f"sum(rate(id_generator_ids_generated_total{{{self._selector}}}[20s]))")),
            round(self._ask(f"sum(increase(id_generator_sequence_exhausted_total{{{self._selector}}}[1m]))")),
            state["spec"]["replicas"],
            state["status"].get("readyReplicas", 0),
        )

    def _ask(self, query: str) -> float:
        url = f"{self._prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - the user passes the address
            result = json.load(response)["data"]["result"]
        return float(result[0]["value"][1]) if result else 0.0


async def record(
    path: Path, observer: Observer, load: Load, *, ids_a_second: float, seconds: float, rest: float
) -> None:
    """Records an idle phase, then `seconds` with `ids_a_second`, then `rest` seconds of idling."""
    begin = time.monotonic()
    asking = asyncio.create_task(load.run())
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Sample._fields)
        while (now := time.monotonic() - begin) < IDLE_BEFORE_SECONDS + seconds + rest:
            load.ids_a_second = ids_a_second if 0 <= now - IDLE_BEFORE_SECONDS < seconds else 0
            writer.writerow(await asyncio.to_thread(observer.sample, now, load.ids_a_second))
            file.flush()
            await asyncio.sleep(SAMPLE_SECONDS - (time.monotonic() - begin) % SAMPLE_SECONDS)
    asking.cancel()


def read(path: Path) -> list[Sample]:
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        return [Sample(**{name: float(value) for name, value in row.items()}) for row in rows]  # type: ignore[arg-type]


def render(samples: Iterable[Sample]) -> str:
    """Returns the time line as SVG: pods above, IDs per second below."""
    samples = list(samples)
    minutes = [sample.seconds / 60 for sample in samples]
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(7.2, 4.6), layout="constrained")
        pods, ids = figure.subplots(2, 1, sharex=True)
        pods.step(
            minutes, [each.replicas for each in samples], where="post", color=INK, linestyle=":", label="asked for"
        )
        pods.step(minutes, [each.ready for each in samples], where="post", color=COLOURS["respid"], label="ready")
        pods.set_ylabel("pods")
        ids.plot(minutes, [each.asked_ids / 1e6 for each in samples], color=INK, linestyle=":", label="asked for")
        ids.plot(minutes, [each.ids / 1e6 for each in samples], color=COLOURS["respid"], label="issued")
        ids.set_ylabel("million IDs per second")
        ids.set_xlabel("minutes")
        for axes in (pods, ids):
            axes.set_ylim(bottom=0)
            axes.grid(visible=True, color=INK, alpha=0.25)
            axes.legend(loc="upper right", frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("data", type=Path)
    recording.add_argument("--namespace", required=True)
    recording.add_argument("--name", required=True)
    recording.add_argument("--address", required=True)
    recording.add_argument("--prometheus", default="http://prometheus-k8s.monitoring.svc.cluster.local")
    recording.add_argument("--ids-a-second", type=float, default=12e6)
    recording.add_argument("--seconds", type=float, default=360)
    recording.add_argument("--rest", type=float, default=840)
    plotting = commands.add_parser("plot")
    plotting.add_argument("data", type=Path)
    plotting.add_argument("picture", type=Path)
    options = parser.parse_args()
    if options.command == "plot":
        options.picture.write_text(render(read(options.data)))
        return
    host, port = options.address.rsplit(":", 1)
    observer = Observer(options.namespace, options.name, options.prometheus)
    load = Load(host, int(port))
    plan = {"ids_a_second": options.ids_a_second, "seconds": options.seconds, "rest": options.rest}
    asyncio.run(record(options.data, observer, load, **plan))


if __name__ == "__main__":
    main()
