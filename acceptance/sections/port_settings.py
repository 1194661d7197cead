"""Where the CRM's database keeps what is set for each port in the admin pages."""

from __future__ import annotations

from acceptance.sections.base import Section


class PortSettings(Section):
    """A row for each setting of each port.

    Attributes:
        port: the column that says which port; empty if there is none.
        only: what stands there for the port that the website hands its inquiries in for; unset if every port
            counts.
    """

    table: str = "system_settings"
    name: str = "key"
    value: str = "value"
    port: str = "port_id"
    only: str | None = None
