"""The SRE agent: incidents from health, SLO, drift and scaling signals; code first, every claim checked."""

from agents.spec import AgentSpec
from agents.sre.diagnose import diagnose
from agents.sre.drafts import SRE
from agents.sre.remedies import remedies

SPEC = AgentSpec(
    name="sre",
    principal=SRE,
    answers="incidents from health, SLO, drift and scaling signals",
    diagnose=diagnose,
    remedies=remedies,
)
