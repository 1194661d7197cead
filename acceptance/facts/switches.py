"""How the switches of the cutover are set, as the environments and the CRM's settings show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from acceptance import cutover
from acceptance.cutover import Kept, Seen
from acceptance.errors import NotApplicableError, UnavailableError
from acceptance.facts.base import Source, known
from acceptance.facts.environments import BLANK, UNSET, Environment, Environments
from acceptance.facts.port_settings import PortSettings

_OWNERS = ("the CRM's off and the website's on", "the CRM's on and the website's off")
FLAGS = ("CRM_BERTHS_ENABLED", "WEBSITE_INQUIRY_EMAILS_DISABLED")
MAILS = ("website_intake_email_enabled", "WEBSITE_INQUIRY_EMAILS_DISABLED")
"""Who sends the inquiry mails: the CRM if the first is on, the website unless the second is."""


@dataclass(frozen=True)
class Switches:
    """The switches of both instances; each is looked at only when it is asked for."""

    environments: Environments
    settings: PortSettings

    @property
    def source(self) -> Source:
        """Where they were seen."""
        website = self.environments.website
        place = website.value.place if website.state == "known" else "the website's environment"
        again = website.value.again if website.state == "known" else self.settings.source.again
        return Source(where=f"{place}; {self.settings.source.where}", again=again)

    def contradictions(self, stage: int, names: Iterable[str] | None = None) -> tuple[str, ...]:
        """Say of each switch how it contradicts a stage.

        Args:
            stage: the declared one.
            names: the switches that are looked at; all of them if not given.

        Raises:
            UnavailableError: those that could be seen agree with the stage, and one could not.
        """
        seen, unseen = self._look(names)
        found = cutover.load().differences(stage, seen)
        if unseen and not found:
            raise unseen[0]
        return found

    def summary(self, names: Iterable[str] | None = None) -> str:
        """Say how each switch was found, and which stage that is."""
        seen, unseen = self._look(names)
        told = [f"{name} {state.told}" for name, state in seen.items()]
        told += [f"the rest is not known ({error.reason})" for error in unseen]
        if names is None and not unseen:
            told.append(f"that is {cutover.listed(cutover.load().derive(seen))}")
        return "; ".join(told)

    def senders(self) -> str:
        """Say who sends the inquiry mails."""
        seen, _ = self._look(MAILS)
        told = self.summary(MAILS)
        if len(seen) < len(MAILS):
            return told
        crm, website = seen[MAILS[0]].on, not seen[MAILS[1]].on
        if crm is None:
            return f"whether the CRM sends mails is not clear: {told}"
        who = {(True, True): "both send mails", (False, False): "nobody sends mails"}
        return (
            f"{who.get((crm, website), 'the CRM sends mails' if crm else 'the website sends mails')}: {told}"
        )

    def _look(self, names: Iterable[str] | None) -> tuple[dict[str, Seen], list[UnavailableError]]:
        wanted = [each for each in cutover.load().switches if names is None or each.name in names]
        looks: dict[str, Callable[[str], Seen]] = {"website": self._of_the_website, "crm": self._of_the_crm}
        seen: dict[str, Seen] = {}
        unseen: list[UnavailableError] = []
        for switch in wanted:
            try:
                seen[switch.name] = looks[switch.place](switch.name)
            except UnavailableError as error:
                unseen.append(error)
        return seen, unseen

    def _of_the_website(self, name: str) -> Seen:
        environment = known(self.environments.website)
        state = environment.state(name)
        if state == "set" and name in FLAGS and environment.variables[name].word is None:
            return Seen(on=False, told="set to none of 1, true and yes")
        return Seen(on=state == "set", told=state)

    def _of_the_crm(self, name: str) -> Seen:
        try:
            states = self.settings.values(name)
        except NotApplicableError as error:
            return Seen(on=False, told=f"off, since {error}")
        told = self.settings.summary(name)
        if states == {True, False}:
            raise UnavailableError(
                f"{name} is not the same for every port ({told}), and which is the website's is not declared",
                "say port_settings.only in the target file",
            )
        return Seen(on=None if None in states else True in states, told=told)


def owner(stage: int) -> str:
    """Say whose mails must be on at a stage; pure."""
    crm_owns = any(switch.stage <= stage for switch in cutover.load().switches if switch.name in MAILS)
    return f"{_OWNERS[crm_owns]}, as at stage {stage}"


def flipped(environment: Environment) -> tuple[str, ...]:
    """Name the website's switches that are set, whatever to.

    Raises:
        UnavailableError: what one of them is cannot be told.
    """
    names = [switch.name for switch in cutover.load().of_the("website")]
    states = {name: environment.state(name) for name in names}
    return tuple(f"{name} {state}" for name, state in states.items() if state == "set")


def lost(environment: Environment) -> tuple[str, ...]:
    """Name what of the old way is gone, so that unsetting the switches would not bring it back.

    Raises:
        UnavailableError: nothing is, as far as can be seen, but some of it has other names than assumed.
    """
    unsure: list[str] = []
    found = [line for kept in cutover.load().rollback.keeps for line in _lost(environment, kept, unsure)]
    if unsure and not found:
        raise UnavailableError(
            f"assumed name not found: {'; '.join(unsure)}",
            "correct the names in contracts/website.toml and acceptance/cutover.toml",
        )
    return tuple(found)


def _lost(environment: Environment, kept: Kept, unsure: list[str]) -> Iterator[str]:
    states = {name: environment.state(name) for name in kept.names}
    others = [name for name in environment.strangers if any(mark in name.upper() for mark in kept.marks)]
    if set(states.values()) == {UNSET} and others:
        unsure.append(f"{' and '.join(kept.names)}, but there is {', '.join(others)}")
        return
    yield from (f"{name} {state}" for name, state in states.items() if state in (UNSET, BLANK))


def kept(environment: Environment) -> str:
    """Say of each value of the old way whether it is there.

    Raises:
        UnavailableError: what one of them is cannot be told.
    """
    names = [name for kept in cutover.load().rollback.keeps for name in kept.names]
    return ", ".join(f"{name} {environment.state(name)}" for name in names)
