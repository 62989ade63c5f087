"""A plain command to judge and schedule with."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.commands import Command

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def command() -> Command:
    return Command.model_validate(
        {
            "id": "01J00000000000000000000001", "kind": "service.restart", "arguments": {"service": "api"},
            "target": {"kind": "service", "id": "api"}, "tenant": "t", "environment": "prod", "proposer": "agent:sre",
            "preview": (), "inverse": {}, "preconditions": (),
            "affected": {"tenants": ("t",), "environments": ("prod",), "resources": ("service/api",)},
            "expires_at": AT + timedelta(hours=4), "idempotency_key": "k", "proposed_at": AT,
            "incident": "01J00000000000000000000002",
        }
    )  # fmt: skip
