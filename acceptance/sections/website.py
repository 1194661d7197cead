"""The marketing website, the second instance."""

from __future__ import annotations

from acceptance.sections.base import Section
from acceptance.sections.public import Public


class Website(Section):
    """The marketing website.

    Attributes:
        public: where visitors find it.
    """

    public: Public
