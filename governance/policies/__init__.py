"""The shipped policies: Cedar files beside their schema, one per concern, and the compliance controls.

A new file is one more line here.
"""

from pathlib import Path

CONTROLS_FILE = "controls.toml"
POLICY_FILES = (
    "approval.cedar",
    "autonomy.cedar",
    CONTROLS_FILE,
    "evidence.cedar",
    "impact.cedar",
    "stops.cedar",
)
SCHEMA_FILE = "schema.cedarschema"
SHIPPED = Path(__file__).parent
