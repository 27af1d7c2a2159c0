import pytest

from tests.helpers.merge_checkpoints import BASE, near, save
from tests.helpers.stages import publish


@pytest.fixture
def pair(tmp_path):
    """Manifests of two models of the same kind, cut differently."""
    save(tmp_path / "base/model", BASE, shards=2)
    save(tmp_path / "distilled/model", near(BASE, 2), shards=3)
    return publish(tmp_path / "base"), publish(tmp_path / "distilled")
