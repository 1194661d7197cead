"""What most parts of the stand-in need."""

from __future__ import annotations

from dataclasses import dataclass

from rehearsal.apps.documenso.documents import Documents
from rehearsal.apps.documenso.jobs import Jobs
from rehearsal.apps.documenso.release import Release
from rehearsal.apps.documenso.settings import Settings
from rehearsal.apps.documenso.storage import Storage
from rehearsal.apps.documenso.store import Store
from rehearsal.apps.knobs import Knobs


@dataclass(frozen=True)
class Context:
    """The configuration, and what stands on it alone."""

    settings: Settings
    knobs: Knobs
    store: Store
    jobs: Jobs
    documents: Documents
    storage: Storage

    @classmethod
    def of(cls, settings: Settings) -> Context:
        """Put it together; nothing is connected yet."""
        store = Store(settings.database)
        return cls(
            settings=settings,
            knobs=Knobs(settings.knobs),
            store=store,
            jobs=Jobs(store, settings.release),
            documents=Documents(settings.release, settings.url),
            storage=Storage(settings.bucket, settings.outgoing),
        )

    @property
    def release(self) -> Release:
        """Which release this is."""
        return self.settings.release
