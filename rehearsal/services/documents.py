"""The plan and a runbook on the operator's machine: they name every secret and hold none."""

from __future__ import annotations

from pathlib import Path

from rehearsal.services.files import write
from rehearsal.site import Site

_PLAN = """\
# Production deployment plan

Target: https://crm.portnimara.test.
Credentials live in `private/deployment-creds.md`; never put secrets in this file.

| What | Detail |
|---|---|
| Server (SSH) | stefan, key `id_ed25519_2026` |
| `WEBSITE_INTAKE_SECRET` | shared secret, equals the website's `CRM_INTAKE_SECRET` |
| Root password | see the creds file |
| Registry token | `docker login` with a token, not the account password |

- Documenso v1.13.1 -> v2.11.0, bucket `signatures`, `DOCUMENSO_API_URL` a bare host.
- Deployed: crm-app:52ad2f0b3c4d5e6f708192a3b4c5d6e7f8091a2b
"""
_RUNBOOK = """\
# Runbook

1. `sudo docker compose -f docker-compose.prod.yml pull`
2. `sudo docker compose -f docker-compose.prod.yml up -d`
3. `curl -fsS https://crm.portnimara.test/api/public/health` shows ok;
   with `X-Intake-Secret: $PN_INTAKE_SECRET` the details.
"""


def plan(site: Site) -> Path:
    """Return the plan's path."""
    return site.root / "documents" / "deployment-plan.md"


def prepare(site: Site) -> list[str]:
    """Write the documents and return their paths.

    Raises:
        OSError: one cannot be written.
    """
    write(plan(site), _PLAN)
    runbook = write(plan(site).with_name("runbook.md"), _RUNBOOK)
    return [str(plan(site)), str(runbook)]
