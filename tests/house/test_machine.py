"""What stops an installation, before anything is fetched, and what the locked lists hold together."""

import os
import re
import shlex
import socket
import subprocess
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from envs import install_gpu, machine
from envs.install_gpu import ENGINES, GPU, Tools, check_gpu
from envs.machine import LAPTOP, Machine, check
from polaris.recipe import recipe
from polaris.stage.errors import UserError
from polaris.stage.nodes import interpreter

ROOT = Path(__file__).resolve().parents[2]
LINUX = Machine("Linux", "x86_64", (3, 12), (2, 36))
NODE = Tools(driver=580, nvcc=13, compiler=True, headers=True, free=1e12)


@pytest.mark.parametrize(
    ("here", "wants", "words"),
    [
        (LINUX, LAPTOP, None),
        (LINUX._replace(processor="aarch64", python=(3, 11)), LAPTOP, None),
        (LINUX._replace(glibc=(2, 31)), LAPTOP, None),
        (LINUX._replace(glibc=(2, 28)), LAPTOP, "glibc 2.31 or newer; this machine has glibc 2.28"),
        (LINUX._replace(glibc=None), LAPTOP, "this machine has another C library"),
        (
            LINUX._replace(system="Darwin", processor="arm64"),
            LAPTOP,
            "Linux on x86_64 or aarch64; this is Darwin on arm64",
        ),
        (LINUX._replace(processor="ppc64le"), LAPTOP, "this is Linux on ppc64le"),
        (LINUX._replace(python=(3, 13)), LAPTOP, "Python 3.11 or 3.12; this is 3.13: name another, make PYTHON="),
        (LINUX, GPU, None),
        (LINUX._replace(processor="aarch64"), GPU, "wheels for Linux on x86_64; this is Linux on aarch64"),
        (LINUX._replace(python=(3, 11)), GPU, "Python 3.12; this is 3.11: name another, make GPU_PYTHON="),
        (LINUX._replace(glibc=(2, 28)), GPU, "glibc 2.31"),
    ],
)
def test_a_machine_without_wheels_is_refused_by_one_sentence(here, wants, words):
    if words is None:
        check(here, wants)
        return
    with pytest.raises(UserError, match=re.escape(words)) as refused:
        check(here, wants)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("tools", "engines", "driver", "words"),
    [
        (NODE, [*ENGINES], None, None),
        (NODE._replace(driver=575), ["vllm"], None, "driver of 580 or newer, not 575"),
        (NODE._replace(driver=None), ["vllm"], None, "DRIVER=580"),
        (NODE._replace(driver=None), ["vllm"], 590, None),
        (NODE._replace(driver=None), ["rl"], 550, "not 550"),
        (NODE._replace(driver=None, nvcc=None, compiler=False), ["driver", "merge"], None, None),
        (NODE._replace(nvcc=None), ["rl", "vllm"], None,
         "flash-attn: published as sources, built here by nvcc of CUDA 13; this machine has no nvcc"),
        (NODE._replace(nvcc=12), ["megatron"], None,
         ("transformer-engine-torch: published as sources, built here by nvcc of CUDA 13; this machine has nvcc of "
         "CUDA 12")),
        (NODE._replace(nvcc=None), ["vllm"], None, None),
        (NODE._replace(compiler=False), ["vllm"], None, "no gcc and g++"),
        (NODE._replace(headers=False), ["vllm"], None, "no Python.h"),
        (NODE._replace(free=5e9), ["rl"], None, "5 are free"),
    ],
)  # fmt: skip
def test_what_a_build_or_a_gpu_lacks_is_said_by_one_sentence(tools, engines, driver, words):
    if words is None:
        check_gpu(LINUX, tools, engines, driver)
        return
    with pytest.raises(UserError, match=re.escape(words)) as refused:
        check_gpu(LINUX, tools, engines, driver)
    assert "\n" not in str(refused.value)


def test_make_says_it_before_anything_is_fetched(tmp_path):
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith("MAKE")
    }  # `make test` is one itself
    for arguments, words in (
        (["install-gpu", "GPU_PYTHON=/no/python"], "the GPU environments need Python 3.12"),
        (["install", "PYTHON=", f"VENV={tmp_path}/venv"], "polaris needs Python 3.11 or 3.12"),
    ):
        done = subprocess.run(
            ["make", *arguments], cwd=ROOT, env=plain, check=False, capture_output=True, text=True, timeout=60
        )
        assert done.returncode and words in done.stdout and len(done.stdout.splitlines()) == 1, done.stdout
    assert not (tmp_path / "venv").exists()


class Index(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/cpu/torch/" else 404)
        self.end_headers()
        self.wfile.write(b'<a href="torch-2.13.0%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl">torch</a>')

    def log_message(self, *args):
        pass


def test_an_index_is_asked_for_the_wheel_and_not_waited_for(monkeypatch):
    monkeypatch.setattr(machine, "PATIENCE", 0.5)
    with HTTPServer(("127.0.0.1", 0), Index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert machine.serves(f"{url}/cpu/", "torch==2.13.0")
        assert not machine.serves(f"{url}/cpu", "torch==2.13") and not machine.serves(f"{url}/gpu", "torch==2.13.0")
        server.shutdown()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the call, never answers
        assert not machine.serves(f"http://127.0.0.1:{silent.getsockname()[1]}", "torch==2.13.0")
    assert not machine.serves("", "torch==2.13.0")


def pins(text: str) -> dict[str, str]:
    """Requirements of the form name==version, by normal name."""
    found = re.findall(r"^([\w.-]+)(?:\[[\w.,-]+\])?==([\w.]+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.mark.parametrize("engine", [*ENGINES, "compat"])
def test_a_list_holds_what_its_engine_and_polaris_ask_for(engine):
    listed = pins((ROOT / f"envs/{engine}.txt").read_text())
    asked = pins((ROOT / f"envs/{engine}.in").read_text())
    assert asked and asked.items() <= listed.items()
    assert {"pydantic", "datasets", "math-verify", "pytest"} <= listed.keys()
    assert ("snakemake" in listed) == (engine in ("driver", "compat"))
    assert ("torch" in listed) == (engine not in ("driver", "compat"))


def test_what_has_no_wheel_is_built_last():
    for engine, (_, sources, _) in ENGINES.items():
        wheels, built = install_gpu.lines_of(engine)
        assert {line.split("==")[0] for line in built} == set(sources) and not set(built) & set(wheels)


def test_both_containers_have_the_files_that_the_installation_reads():
    docker = re.findall(r"^COPY (.+) \S+$", (ROOT / "containers/Dockerfile").read_text(), re.MULTILINE)
    apptainer = re.findall(r"^    (\S+) /opt/polaris/", (ROOT / "containers/polaris.def").read_text(), re.MULTILINE)
    copied = " ".join(docker).split()
    assert copied == apptainer and all((ROOT / name).exists() for name in copied)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {*(name.rstrip("*") for name in packages), "configs", "envs", "Makefile", "pyproject.toml"} <= set(copied)


@pytest.mark.parametrize("name", ["venvs", "my 'own' venvs #1"])
def test_the_overlay_names_each_installed_interpreter(tmp_path, name):
    folder = tmp_path / name
    for engine in ENGINES:
        (folder / engine / "bin").mkdir(parents=True)
        (folder / engine / "bin/python").touch()
    install_gpu.write_interpreters(folder, tmp_path / "interpreters.yaml")
    interpreters = recipe.load(
        [str(ROOT / "configs/polaris_v2.yaml"), str(tmp_path / "interpreters.yaml")]
    ).interpreters
    for engine in ("rl", "vllm", "megatron", "merge"):
        words = shlex.split(interpreter(getattr(interpreters, engine)))
        assert words == [f"{folder}/{engine}/bin/python"]
