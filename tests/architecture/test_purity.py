import pytest

from tests.architecture import purity
from tests.architecture.planting import plant
from tests.architecture.source import REPOSITORY


@pytest.mark.parametrize(
    "check", [purity.environment_readers, purity.hidden_inputs, purity.dataset_names, purity.twin_peeks]
)
def test_the_house_is_pure(check):
    assert check(REPOSITORY) == []


@pytest.mark.parametrize(
    "text",
    [
        "import os\nhome = os.environ['HOME']\n",
        "from os import getenv\n",
        "import os\n\ndef late() -> str | None:\n    return os.getenv('HOME')\n",
    ],
)
def test_reading_the_environment_is_found_outside_settings(tmp_path, text):
    plant(tmp_path, "mesh/settings.py", text)
    assert purity.environment_readers(tmp_path) == []
    assert purity.environment_readers(plant(tmp_path, "tools/planted.py", text))


@pytest.mark.parametrize(
    "text",
    [
        "import datetime\nnow = datetime.datetime.now(datetime.UTC)\n",
        "from datetime import datetime\nnow = datetime.now()\n",
        "import time\nnow = time.time()\n",
        "import random\n",
        "from random import Random\nrng = Random()\n",
        "from random import choice\n",
        "import uuid\nkey = uuid.uuid4()\n",
        "import numpy as np\nrng = np.random.default_rng()\n",
        "from dataclasses import field\nfrom uuid import uuid4\nkey = field(default_factory=uuid4)\n",
    ],
)
def test_a_hidden_clock_or_die_is_found(tmp_path, text):
    assert purity.hidden_inputs(plant(tmp_path, "grounding/planted.py", text))


def test_a_seeded_generator_is_no_hidden_input(tmp_path):
    text = "import numpy as np\nfrom random import Random\n\nrngs = [np.random.default_rng(1), Random(2)]\n"
    assert purity.hidden_inputs(plant(tmp_path, "runtime/planted.py", text)) == []


def test_a_data_set_name_in_the_product_is_found(tmp_path):
    assert purity.dataset_names(plant(tmp_path, "evals/planted.py", "# PetShop\n")) == []
    assert purity.dataset_names(plant(tmp_path, "analysis/planted.py", "# tuned on PetShop\n"))


@pytest.mark.parametrize(
    "text",
    [
        "from runtime.simulator.world import step\n",
        "def fit() -> None:\n    from runtime.simulator import faults\n",
        "def predict(world: object) -> None: ...\n",
        "def predict(given: 'World') -> None: ...\n",
        "from runtime.simulator.middle import through\n",
    ],
)
def test_a_twin_that_touches_the_world_is_found(tmp_path, text):
    plant(tmp_path, "runtime/simulator/world.py", "class World: ...\n")
    plant(tmp_path, "runtime/simulator/faults/__init__.py", "")
    plant(tmp_path, "runtime/simulator/middle.py", "from runtime.simulator.world import World as through\n")
    plant(tmp_path, "runtime/simulator/physics.py", "")
    plant(tmp_path, "runtime/simulator/twin.py", "from runtime.simulator import physics\n")
    assert purity.twin_peeks(tmp_path) == []
    assert purity.twin_peeks(plant(tmp_path, "runtime/simulator/twin.py", text))


def test_every_allowed_input_is_still_used(monkeypatch):
    rows = [(path, name) for path, name, _ in purity.ALLOWED_INPUTS]
    monkeypatch.setattr(purity, "ALLOWED_INPUTS", ())
    found = [line.split(": ") for line in purity.hidden_inputs(REPOSITORY)]
    assert set(rows) <= {(place.partition(":")[0], name) for place, name in found}
