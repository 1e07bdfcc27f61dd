"""Renders the chart: with Helm's engine in this process, or with the program where the APIs of the cluster matter."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import yaml

from tests.support.needed_tools import need_tool

CHART = Path(__file__).parents[2] / "helm-chart"
KEDA_API = "keda.sh/v1alpha1"
RELEASE, NAMESPACE = "demo", "shop"

Values = dict[str, Any]
Manifest = dict[str, Any]


class Render:
    """The objects of a release, and its notes."""

    def __init__(self, objects: list[Manifest], notes: str = "") -> None:
        self.objects = objects
        self.notes = notes

    def all(self, kind: str) -> list[Manifest]:
        return [manifest for manifest in self.objects if manifest["kind"] == kind]

    def one(self, kind: str) -> Manifest:
        (manifest,) = self.all(kind)
        return manifest

    @property
    def kinds(self) -> set[str]:
        return {manifest["kind"] for manifest in self.objects}

    @property
    def pod(self) -> Manifest:
        """The pod specification of the workers."""
        specification: Manifest = self.one("StatefulSet")["spec"]["template"]["spec"]
        return specification

    @property
    def container(self) -> Manifest:
        """The workers' own, which is the first of the pod's."""
        container, *_ = self.pod["containers"]
        assert container["name"] == "respid"
        return dict(container)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of the workers that have a literal value."""
        return {each["name"]: each["value"] for each in self.container["env"] if "value" in each}


def render(values: Values | None = None, *, release: str = RELEASE, namespace: str = NAMESPACE) -> Render:
    """Renders a new installation in a cluster without KEDA. Raises helm_python.HelmError for refused values."""
    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema(values or {})
        templates = chart.render(values or {}, name=release, namespace=namespace)
    notes = templates.pop("respid/templates/NOTES.txt")
    objects = [manifest for name in sorted(templates) for manifest in documents(templates[name])]
    return Render(objects, notes)


def render_with_apis(values: Values, *apis: str, kube_version: str = "") -> Render:
    """Does the same for a cluster with these APIs, with the program helm."""
    arguments = [argument for api in apis for argument in ("--api-versions", api)]
    arguments += ["--kube-version", kube_version] if kube_version else []
    command = [need_tool("helm"), "template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--values", "-"]
    printed = subprocess.run(
        [*command, *arguments], input=yaml.safe_dump(values), stdout=subprocess.PIPE, text=True, check=True
    )
    return Render(list(documents(printed.stdout)))


def umbrella_chart(folder: Path, dependencies: list[Values]) -> Path:
    """Writes a chart with these dependencies on this one, and returns its folder."""
    chart = folder / "umbrella"
    shutil.copytree(CHART, chart / "charts" / "respid")
    metadata = {"apiVersion": "v2", "name": "umbrella", "version": "1.0.0", "dependencies": dependencies}
    (chart / "Chart.yaml").write_text(yaml.safe_dump(metadata))
    return chart


def documents(text: str) -> Iterator[Manifest]:
    """Returns the objects of a YAML stream without its empty documents."""
    return (manifest for manifest in yaml.load_all(text, yaml.CSafeLoader) if manifest)


def ci_values(name: str) -> Values:
    values: Values = yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text()) or {}
    return values


CASES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").iterdir())
# Their output depends on an API that not every cluster has.
CASES_WITH_KEDA = ["everything", "keda"]
CASES_WITHOUT_KEDA = [name for name in CASES if name not in CASES_WITH_KEDA]


def render_case(name: str, kube_version: str = "") -> Render:
    """The manifests that ci/NAME-values.yaml renders; `kube_version` needs the program helm, as KEDA does."""
    values = ci_values(name)
    apis = [KEDA_API] if name in CASES_WITH_KEDA else []
    return render_with_apis(values, *apis, kube_version=kube_version) if apis or kube_version else render(values)
