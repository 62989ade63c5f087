"""The shipped policies: Cedar files beside their schema, one per concern. A new file is one more line here."""

from pathlib import Path

POLICY_FILES = ("approval.cedar", "autonomy.cedar", "evidence.cedar", "impact.cedar", "stops.cedar")
SCHEMA_FILE = "schema.cedarschema"
SHIPPED = Path(__file__).parent
