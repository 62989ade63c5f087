"""The compliance controls of a policy set, read from its control file and stamped with the set's digest."""

import tomllib

from pydantic import ValidationError

from domain.base import Digest
from domain.compliance import ControlSet


def controls_of(text: str | None, policy: Digest) -> tuple[ControlSet | None, str]:
    """Return the controls and no fault; of a file that cannot be used no controls and why; of none neither."""
    if text is None:
        return None, ""
    try:
        return ControlSet.model_validate(tomllib.loads(text) | {"policy": policy}), ""
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        return None, f"the controls cannot be used: {where}: {problem['msg']}"
    except tomllib.TOMLDecodeError as error:
        return None, f"the controls cannot be used: {error}"
