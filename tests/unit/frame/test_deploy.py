"""What is deployed: hardened, without a secret in it, and in step with the program."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer.main
import yaml

from kasparro_app.cli.main import app
from kasparro_app.config.origin import Origin
from kasparro_app.settings import settings_of

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
LINTED = re.findall(r"--schemafile (\S+) (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
BY_OTHERS = {"monitoring", "schemas"}
"""Looked at by promtool and by the tests below, and by their own meta-schema."""
METRICS = {
    "etl_records_processed_total": {"source", "outcome"},
    "etl_runs_total": {"source", "status"},
    "etl_run_duration_seconds": {"source", "le"},
    "etl_last_success_timestamp_seconds": {"source"},
    "etl_rejections_total": {"source", "code"},
    "etl_retries_total": {"source", "reason"},
    "etl_throttled_total": {"source"},
    "etl_drift_events_total": {"source", "change"},
    "etl_anomalies_total": {"source", "metric"},
    "etl_anomalies_open": {"source"},
    "etl_lag_seconds": {"source"},
    "http_requests_total": {"route", "method", "status"},
    "http_request_duration_seconds": {"route", "le"},
}
PROMTOOL = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")


def documents(path: Path) -> Any:
    """What stands in a YAML or JSON file."""
    return yaml.safe_load(path.read_text("utf-8"))


def linted() -> list[tuple[Path, Path]]:
    """Each file under deploy that `make lint` holds against a schema, with that schema."""
    patterns = [(pattern, ROOT / schema) for schema, words in LINTED for pattern in words.split()]
    return [(path, schema) for pattern, schema in patterns for path in sorted(ROOT.glob(pattern))]


def test_every_manifest_is_held_against_a_schema() -> None:
    """No manifest can be added under deploy without `make lint` looking at it, and every schema is used."""
    files = {path for path in DEPLOY.rglob("*") if path.suffix in {".json", ".yaml", ".yml"}}
    files = {path for path in files if not BY_OTHERS & set(path.relative_to(DEPLOY).parts)}
    assert files
    assert files == {path for path, _ in linted()}
    assert set((DEPLOY / "schemas").iterdir()) == {schema for _, schema in linted()}


def paths(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each table inside a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, dict):
        yield here
    for key, inner in items:
        yield from paths(inner, (*here, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    """What stands at a path."""
    for step in path:
        value = value[step]
    return value


FREE = {"labels", "annotations", "data", "matchLabels", "selector", "pairs", "options"}


@pytest.mark.parametrize(("path", "schema"), linted(), ids=lambda path: path.name)
def test_a_mistyped_key_is_refused(path: Path, schema: Path) -> None:
    """Each manifest fits its schema, and none of its tables takes a key that does not exist."""
    validator = jsonschema.Draft202012Validator(json.loads(schema.read_text("utf-8")))
    document = documents(path)
    validator.validate(document)
    tables = [table for table in paths(document) if not FREE & set(table)]
    assert tables
    for table in tables:
        broken = copy.deepcopy(document)
        at(broken, table)["mistyped"] = "x"
        assert not validator.is_valid(broken), table


def without(*path: Any) -> Callable[[Any], None]:
    """Takes a key out of a document."""

    def take(document: Any) -> None:
        del at(document, path[:-1])[path[-1]]

    return take


def with_(value: Any, *path: Any) -> Callable[[Any], None]:
    """Puts a value into a document."""

    def put(document: Any) -> None:
        at(document, path[:-1])[path[-1]] = value

    return put


POD = ("spec", "template", "spec")
CONTAINER = (*POD, "containers", 0)
TASK = ("containerDefinitions", 0)
LOOSENED = [
    ("kubernetes/deployment.yaml", with_(True, *CONTAINER, "securityContext", "allowPrivilegeEscalation")),
    ("kubernetes/deployment.yaml", with_(False, *CONTAINER, "securityContext", "readOnlyRootFilesystem")),
    ("kubernetes/deployment.yaml", with_(0, *POD, "securityContext", "runAsUser")),
    ("kubernetes/deployment.yaml", with_("http:80", *CONTAINER, "readinessProbe", "httpGet", "port")),
    ("kubernetes/kustomization.yaml", with_("latest", "images", 0, "newTag")),
    ("cloud-run/service.yaml", with_("image:latest", *CONTAINER, "image")),
    ("cloud-run/service.yaml", with_("PORT", *CONTAINER, "env", 0, "name")),
    ("aws-ecs/task-definition.json", with_("0:0", *TASK, "user")),
    ("aws-ecs/task-definition.json", with_([{"name": "API_KEY", "value": "x"}], *TASK, "environment")),
    ("aws-ecs/task-definition.json", without(*TASK, "healthCheck")),
    ("aws-ecs/schedule.json", with_("every 15m", "ScheduleExpression")),
    ("render.yaml", with_({"key": "API_KEY"}, "services", 0, "envVars", 0)),
]


@pytest.mark.parametrize(("name", "change"), LOOSENED, ids=range(len(LOOSENED)))
def test_what_would_be_unsafe_is_refused(name: str, change: Callable[[Any], None]) -> None:
    """A container with rights, a secret in plain text or an image without a version does not pass `make lint`."""
    path = DEPLOY / name
    schema = dict(linted())[path]
    document = documents(path)
    change(document)
    assert not jsonschema.Draft202012Validator(json.loads(schema.read_text("utf-8"))).is_valid(document)


def instruction(word: str) -> list[str]:
    """What the instructions of that name say."""
    return re.findall(rf"^{word} (.+)$", DOCKERFILE, re.MULTILINE)


def test_the_image_is_hardened() -> None:
    """It is built from a pinned base in stages, runs as nobody's number, and stops on SIGTERM."""
    assert [base.split()[0] for base in instruction("FROM")] == ["python:3.13-slim"] * 2
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", instruction("USER")[-1])
    assert instruction("STOPSIGNAL") == ["SIGTERM"]
    assert instruction("EXPOSE") == ["8000"]
    assert json.loads(instruction("ENTRYPOINT")[-1]) == ["kasparro"]
    assert json.loads(instruction("CMD")[-1])[:1] == ["serve"]
    assert set(json.loads(instruction("VOLUME")[-1])) == {"/data", "/tmp"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_of_compose_is_confined(name: str) -> None:
    """Read-only, no rights but those it says it needs, restarted, watched, reachable from this machine alone."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert re.search(r":(?!latest$)[\w.-]+$", service["image"])
    assert all(after["condition"] == "service_healthy" for after in service.get("depends_on", {}).values())


def test_only_the_database_has_rights() -> None:
    """The one container that begins as root is that of the database, which is not reachable from outside."""
    assert [name for name, service in SERVICES.items() if "cap_add" in service] == ["db"]
    assert "ports" not in SERVICES["db"]


def test_monitoring_is_a_profile() -> None:
    """Without the profile there are the service and its database and nothing else."""
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == {"app", "db"}
    assert {tuple(service["profiles"]) for service in SERVICES.values() if "profiles" in service} == {("monitoring",)}


def test_compose_has_no_secret_of_its_own() -> None:
    """The password comes from .env and has no default: without it compose stops and says so."""
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    uses = re.findall(r"\$\{([A-Z_]+)([^}]*)\}", text)
    assert {rest[:2] for name, rest in uses if re.search("PASSWORD|KEY|TOKEN", name)} == {":?"}
    example = (ROOT / ".env.example").read_text("utf-8")
    assert re.search(r"^POSTGRES_PASSWORD=$", example, re.MULTILINE)
    assert {name for name, _ in uses} - set(re.findall(r"^(?:# )?([A-Z_]+)=", example, re.MULTILINE)) == set()
    words = re.findall(r"(?im)^\s*-?\s*\w*(?:password|secret|token)\w*:\s*(.+)$", text)
    assert all(word.startswith("${") for word in words)


def test_the_example_of_env_is_accepted(tmp_path: Path) -> None:
    """Each variable of .env.example, also those that are commented out, is one that the program or compose knows."""
    lines = re.findall(r"^(?:# )?([A-Z][A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)
    assert len(lines) > 5
    document = {"sources": {"coingecko": {"type": "http", "preset": "coingecko.markets"}}}
    settings = settings_of(document, Origin("test"), tmp_path, environ={**dict(lines), "API_KEY": "k"})
    assert settings.tables.api.admin_key is not None


def expressions() -> dict[str, str]:
    """Every query of the dashboard and of the alerts, by its title."""
    dashboard = json.loads((DEPLOY / "monitoring/grafana/dashboards/kasparro.json").read_text("utf-8"))
    alerts = documents(DEPLOY / "monitoring/alerts.yml")
    found = {f"{panel['title']} {t['refId']}": t["expr"] for panel in dashboard["panels"] for t in panel["targets"]}
    found |= {one["name"]: one["query"] for one in dashboard["templating"]["list"]}
    return found | {rule["alert"]: rule["expr"] for group in alerts["groups"] for rule in group["rules"]}


def test_the_dashboard_asks_for_what_there_is() -> None:
    """Dashboard and alerts use metrics of the interface alone, by labels that these have, and every metric is shown."""
    series = {f"{name}{end}": name for name in METRICS for end in ("", "_bucket", "_sum", "_count")}
    used = set()
    for title, text in expressions().items():
        names = set(re.findall(r"\b(?:etl|http)_[a-z_]+\b", text))
        assert names <= series.keys(), title
        labels = set().union(*(METRICS[series[name]] for name in names))
        grouped = {label for by in re.findall(r"by \(([^)]*)\)", text) for label in by.split(", ")}
        matched = set(re.findall(r"[{,]\s*(\w+)\s*(?:=|!)", text)) - {"job"}
        assert grouped | matched <= labels, title
        used |= {series[name] for name in names}
    assert used == set(METRICS)


def test_figures_of_runs_are_not_doubled() -> None:
    """Every process tells the database's figures of runs: over processes they are never summed, requests are."""
    for title, text in expressions().items():
        assert not re.search(r"\bsum by \([^)]*\) \((?:rate|increase)\(etl_", text), title
        assert not re.search(r"\bmax by \([^)]*\) \((?:rate|increase)\(http_", text), title


def test_grafana_finds_its_parts() -> None:
    """The dashboard names the provisioned data source, and the folders are mounted where they are looked for."""
    provisioning = DEPLOY / "monitoring/grafana/provisioning"
    (source,) = documents(provisioning / "datasources/prometheus.yml")["datasources"]
    dashboard = json.loads((DEPLOY / "monitoring/grafana/dashboards/kasparro.json").read_text("utf-8"))
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    (provider,) = documents(provisioning / "dashboards/kasparro.yml")["providers"]
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"] if volume.startswith("./"))
    assert mounts["./deploy/monitoring/grafana/dashboards"] == provider["options"]["path"]
    assert all((ROOT / name).exists() for name in mounts)
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.startswith(provider["options"]["path"])
    scraped = documents(DEPLOY / "monitoring/prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"]
    assert scraped == ["app:8000"]


@PROMTOOL
def test_prometheus_takes_its_configuration() -> None:
    """promtool finds configuration, alerts and every query of the dashboard in order."""
    check = ["promtool", "check", "config", str(DEPLOY / "monitoring/prometheus.yml")]
    answer = subprocess.run(check, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@PROMTOOL
def test_every_query_can_be_parsed(tmp_path: Path) -> None:
    """Each query of the dashboard is PromQL, once Grafana's variables have values."""
    queries = {title: text for title, text in expressions().items() if not text.startswith("label_values(")}
    filled = [re.sub(r"\$source", ".*", text.replace("$__rate_interval", "1m")) for text in queries.values()]
    rules = [{"record": f"query:{number}", "expr": text} for number, text in enumerate(filled)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    check = ["promtool", "check", "rules", str(tmp_path / "rules.yml")]
    answer = subprocess.run(check, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def commands() -> dict[str, list[str]]:
    """What the containers of each way of deploying are started with."""
    kubernetes = documents(DEPLOY / "kubernetes/deployment.yaml")
    schedule = json.loads(documents(DEPLOY / "aws-ecs/schedule.json")["Target"]["Input"])
    task = documents(DEPLOY / "aws-ecs/task-definition.json")["containerDefinitions"][0]
    (override,) = schedule["containerOverrides"]
    assert override["name"] == task["name"]
    return {
        "image": json.loads(instruction("CMD")[-1]),
        "kubernetes": at(kubernetes, CONTAINER)["args"],
        "cloud run": at(documents(DEPLOY / "cloud-run/service.yaml"), CONTAINER)["args"],
        "ecs": task["command"],
        "eventbridge": override["command"],
        "render": documents(DEPLOY / "render.yaml")["services"][0]["dockerCommand"].split(),
        "health check": json.loads(instruction("HEALTHCHECK")[-1].partition("CMD")[2])[1:],
        "health check of ecs": task["healthCheck"]["command"][2:],
    }


COMMANDS = commands()


@pytest.mark.parametrize("way", COMMANDS)
def test_every_command_is_one_that_the_program_knows(way: str) -> None:
    """The verbs and options in manifests are parsed by the program's own parser, without being carried out."""
    arguments = [*COMMANDS[way]]
    program: Any = typer.main.get_command(app)
    context = program.make_context("kasparro", arguments, resilient_parsing=False)
    name, verb, rest = program.resolve_command(context, [*context._protected_args, *context.args])
    verb.make_context(name, rest, parent=context)


def test_probes_ask_for_health() -> None:
    """What restarts a container asks whether the process answers, which no dead database prevents; what sends requests
    to it asks for readiness."""
    kubernetes = at(documents(DEPLOY / "kubernetes/deployment.yaml"), CONTAINER)
    cloud_run = at(documents(DEPLOY / "cloud-run/service.yaml"), CONTAINER)
    assert kubernetes["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    for container in (kubernetes, cloud_run):
        assert {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness")} == {"/health/live"}
    assert documents(DEPLOY / "render.yaml")["services"][0]["healthCheckPath"] == "/health/ready"
    task = documents(DEPLOY / "aws-ecs/task-definition.json")["containerDefinitions"][0]
    assert task["healthCheck"]["command"][-1] == "--live"


def test_there_is_time_to_stop() -> None:
    """Whoever stops a container waits longer than the 10 seconds within which the service ends."""
    kubernetes = at(documents(DEPLOY / "kubernetes/deployment.yaml"), POD)
    task = documents(DEPLOY / "aws-ecs/task-definition.json")["containerDefinitions"][0]
    assert int(SERVICES["app"]["stop_grace_period"].removesuffix("s")) > 10
    assert kubernetes["terminationGracePeriodSeconds"] > 10
    assert task["stopTimeout"] > 10
    assert documents(DEPLOY / "render.yaml")["services"][0]["maxShutdownDelaySeconds"] > 10


def test_the_configuration_of_kubernetes_is_one(tmp_path: Path) -> None:
    """The kasparro.toml of the ConfigMap is read without a fault."""
    import tomllib

    text = documents(DEPLOY / "kubernetes/configmap.yaml")["data"]["kasparro.toml"]
    assert settings_of(tomllib.loads(text), Origin("test"), tmp_path, environ={}).sources


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
def test_kustomize_puts_it_together() -> None:
    """kubectl builds the manifests without a cluster: four objects in one namespace, with a versioned image."""
    build = ["kubectl", "kustomize", str(DEPLOY / "kubernetes")]
    answer = subprocess.run(build, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    objects = list(yaml.safe_load_all(answer.stdout))
    assert {one["kind"] for one in objects} == {"ConfigMap", "Deployment", "Service", "PodDisruptionBudget"}
    assert {one["metadata"]["namespace"] for one in objects} == {"kasparro"}
    assert re.findall(r"image: (\S+)", answer.stdout) == ["ghcr.io/OWNER/kasparro:0.1.0"]
    by_kind = {one["kind"]: one for one in objects}
    labels = by_kind["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert by_kind["Service"]["spec"]["selector"].items() <= labels.items()
    assert by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_the_versions_agree() -> None:
    """Where a manifest names a version of the image, it is that of this project."""
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert version
    named = [
        found
        for path in DEPLOY.rglob("*")
        if path.suffix in {".md", ".json", ".yaml"} and "schemas" not in path.parts
        for found in re.findall(r"kasparro:(\d[\w.]*)|newTag: (\S+)", path.read_text("utf-8"))
    ]
    assert {"".join(found) for found in named} == {version[1]}


def test_workflows_have_no_rights_they_do_not_need() -> None:
    """Both workflows may read and nothing else; only the job that publishes gets more. Actions are pinned by hash."""
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        workflow = documents(path)
        assert workflow["permissions"] == {"contents": "read"}
        jobs = {name for name, job in workflow["jobs"].items() if "permissions" in job}
        assert jobs <= {"publish"}
        assert all("timeout-minutes" in job for job in workflow["jobs"].values())
        uses = re.findall(r"uses: \S+@(\S+)", path.read_text("utf-8"))
        assert all(re.fullmatch(r"[0-9a-f]{40}", pin) for pin in uses)
    publish = documents(ROOT / ".github/workflows/image.yml")["jobs"]["publish"]
    assert publish["needs"] == "check"
    assert publish["if"] == "startsWith(github.ref, 'refs/tags/v')"
