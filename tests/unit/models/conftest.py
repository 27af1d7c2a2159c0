"""A whole model, written once, and a copy of it for a test to damage."""

import shutil
from pathlib import Path

import pytest

from tests.helpers.models import write_model


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Not to be changed."""
    return write_model(tmp_path_factory.mktemp("whole") / "model")


@pytest.fixture
def model(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "model"))
