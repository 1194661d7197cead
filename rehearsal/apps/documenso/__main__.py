"""Runs Documenso's stand-in: `python -m rehearsal.apps.documenso`, configured by environment variables."""

from __future__ import annotations

import os

from rehearsal.apps import console, web
from rehearsal.apps.documenso import boot
from rehearsal.apps.documenso.app import App
from rehearsal.apps.documenso.settings import Settings
from rehearsal.apps.documenso.store import QueryError


def main() -> None:
    """Migrate, then serve until SIGTERM or SIGINT, whether migrating worked or not."""
    settings = Settings.from_environment(os.environ)
    boot.migrate(settings)
    app = App(settings)
    if settings.release.renames_service_users:
        try:
            boot.rename_service_users(settings, app.context.store)
        except QueryError as error:
            boot.end_without_database(error)
        if settings.telemetry:
            boot.announce(app.context.store)
    server = web.Server(settings.host, settings.port, {}, app.answer)
    if settings.release.sweeps:
        app.sweeps.start()
    console.log(f"Server is running on http://{settings.host}:{settings.port}")
    server.serve_until_told()


if __name__ == "__main__":
    main()
