"""The manifests fit together, and fit the engine: ports, probes, settings, metrics, rights.

Field names and types were checked against the official Go types with `deploy/kubernetes/check`,
which needs Go and a download; this is what a test can see without.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from auralink.engine.service.compose import Works, compose
from auralink.engine.service.context import Clocks
from auralink.engine.service.http.app import create_app
from auralink.engine.service.settings.load import Sources, load
from auralink.engine.service.settings.reload import LiveSettings
from auralink.engine.service.settings.tree import Settings
from auralink.engine.telemetry.catalogue import exported_names

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
APPLIED = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))["resources"]


def objects(names: list[str] | None = None) -> Iterator[dict[str, Any]]:
    for name in names or APPLIED:
        yield from yaml.safe_load_all((FOLDER / name).read_text("utf-8"))


def one(kind: str, name: str = "auralink-aic") -> dict[str, Any]:
    (found,) = [o for o in objects() if o["kind"] == kind and o["metadata"]["name"] == name]
    return found


def engine() -> dict[str, Any]:
    return one("Deployment")["spec"]["template"]["spec"]


def container() -> dict[str, Any]:
    (found,) = engine()["containers"]
    return found


@pytest.fixture(scope="module")
def paths() -> set[str]:
    """Of the HTTP operations, from an application that is put together and not started."""
    sources = Sources(flags={"auth.required": False}, environment={})

    def no_relay(settings: object, told: object) -> Any:
        raise AssertionError("nothing is started here")

    context = compose(
        LiveSettings(load(sources), sources),
        Works(open_relay=no_relay),
        clocks=Clocks(wall=lambda: 0.0, monotonic=lambda: 0.0),
        version="1",
        engine_id="e",
    )
    return set(create_app(context).openapi()["paths"])


def test_every_file_is_applied_or_says_why_not() -> None:
    others = {path.name for path in FOLDER.glob("*.yaml")} - set(APPLIED) - {"kustomization.yaml"}

    for name in others:
        first = (FOLDER / name).read_text("utf-8").splitlines()[0]
        assert first.startswith("#"), name
        assert "not" in first or "Adapter" in first, name


def test_objects_are_of_stable_versions_and_have_different_names() -> None:
    found = [(o["apiVersion"], o["kind"], o["metadata"]["name"]) for o in objects()]

    assert len(set(found)) == len(found)
    assert not [version for version, _, _ in found if "beta" in version or "alpha" in version]


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_probes_ask_paths_that_exist_at_a_port_that_exists(probe: str, paths: set[str]) -> None:
    asked = container()[probe]["httpGet"]
    expected = {"startupProbe": "/startup", "livenessProbe": "/liveness"}

    assert asked["path"] == expected.get(probe, "/readiness")
    assert asked["path"] in paths
    assert asked["port"] in {port["name"] for port in container()["ports"]}


def test_ports_are_those_that_the_engine_listens_on() -> None:
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    defaults = Settings()

    assert ports == {"http": defaults.http.port, "grpc": defaults.grpc.port}
    for service in (one("Service"), one("Service", "auralink-aic-grpc")):
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]


def test_a_pod_gets_longer_to_end_than_it_needs() -> None:
    config = one("ConfigMap")["data"]
    sleep = int(container()["lifecycle"]["preStop"]["exec"]["command"][1])

    needed = sleep + float(config["AURALINK_ENGINE__DRAIN_S"]) + 10
    assert engine()["terminationGracePeriodSeconds"] >= needed


def test_a_start_through_five_tries_of_the_database_is_not_cut_short() -> None:
    probe = container()["startupProbe"]

    assert probe["periodSeconds"] * probe["failureThreshold"] >= Settings().engine.start_s


def test_settings_are_ones_that_the_engine_takes_in_production(tmp_path: Path) -> None:
    environment = dict(one("ConfigMap")["data"])
    (secret,) = objects(["secret.example.yaml"])
    filled = {
        "AURALINK_AUTH__SECRET": "s" * 40,
        "DATABASE_URL": "postgresql://user:password-1@host:5432/name",
        "REDIS_URL": "rediss://:password-1@host:6379/0",
        "LIVEKIT_URL": "wss://host",
        "LIVEKIT_API_KEY": "key-1",
        "LIVEKIT_API_SECRET": "s" * 40,
    }
    assert set(secret["stringData"]) == set(filled)
    # What Dockerfile and Deployment add.
    extra = {"AURALINK_HTTP__HOST": "0.0.0.0", "AURALINK_GRPC__HOST": "0.0.0.0"}
    extra["AURALINK_ENGINE__ID"] = "auralink-aic-5d9f-abcde"

    found = load(Sources(flags={}, environment=environment | filled | extra)).settings

    assert found.environment == "production"
    assert found.grpc.tls
    assert found.redis.replicas == one("Deployment")["spec"]["replicas"]


def test_no_secret_is_in_a_manifest() -> None:
    (secret,) = objects(["secret.example.yaml"])

    assert set(secret["stringData"].values()) == {""}
    assert "Secret" not in {o["kind"] for o in objects()}


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_pods_have_no_rights_that_they_do_not_need(kind: str) -> None:
    name = "auralink-aic" if kind == "Deployment" else "auralink-aic-migrate"
    spec = one(kind, name)["spec"]["template"]["spec"]

    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for one_container in spec["containers"]:
        rights = one_container["securityContext"]
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in one_container["resources"]["limits"]
        mounted = {mount["name"] for mount in one_container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in spec["volumes"]}


def test_the_image_is_the_one_that_the_kustomization_names_with_a_tag() -> None:
    (image,) = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))["images"]

    assert container()["image"] == image["name"]
    assert image["newTag"] not in ("", "latest")


def test_the_autoscaler_goes_by_a_metric_that_is_exported() -> None:
    spec = one("HorizontalPodAutoscaler")["spec"]
    (metric,) = spec["metrics"]
    name = metric["pods"]["metric"]["name"]
    (adapter,) = objects(["prometheus-adapter.yaml"])
    (rule,) = adapter["rules"]["custom"]

    assert name in exported_names()
    assert rule["name"]["as"] == name
    assert rule["seriesQuery"].startswith(name + "{")
    assert spec["minReplicas"] == one("Deployment")["spec"]["replicas"]
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] >= 300


def test_selectors_find_the_pods_of_the_deployment() -> None:
    labels = one("Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        one("Deployment")["spec"]["selector"]["matchLabels"],
        one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one("Service")["spec"]["selector"],
        one("Service", "auralink-aic-grpc")["spec"]["selector"],
        one("NetworkPolicy", "auralink-aic-engine")["spec"]["podSelector"]["matchLabels"],
    ]

    for selector in selectors:
        assert selector.items() <= labels.items()


def test_the_network_is_closed_but_for_what_the_engine_needs() -> None:
    nothing = one("NetworkPolicy", "auralink-aic-nothing")["spec"]
    policy = one("NetworkPolicy", "auralink-aic-engine")["spec"]

    assert nothing == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for rule in policy["ingress"]:
        assert rule["from"]  # never from everywhere
        for port in rule["ports"]:
            assert port["port"] in {port["name"] for port in container()["ports"]}
    out = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert {53, 5432, 6379, 443, 7880} <= out


def test_prometheus_finds_the_pods_by_labels_that_they_have() -> None:
    config = yaml.safe_load((FOLDER.parent / "prometheus" / "kubernetes.yml").read_text("utf-8"))
    (job,) = config["scrape_configs"]
    keep = job["relabel_configs"][0]
    (labels,) = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))["labels"]
    (monitor,) = objects(["podmonitor.yaml"])

    assert labels["includeSelectors"] is True
    name = labels["pairs"]["app.kubernetes.io/name"]
    assert keep["regex"] == f"{name};http"
    assert monitor["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] == name
    assert monitor["spec"]["podMetricsEndpoints"][0]["port"] == "http"
