"""What an instance's environment must hold: reads contracts/*.toml. It holds no secret, only shapes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from acceptance.checklist import LAST_STAGE
from acceptance.errors import UsageError

DIRECTORY = Path(__file__).resolve().parent.parent / "contracts"

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Instance = Literal["crm", "website"]
Scheme = Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(_Part):
    """Anything that is not blank."""

    kind: Literal["text"] = "text"

    @property
    def expected(self) -> str:
        """The shape for people."""
        return "not blank"


class Url(_Part):
    """A URL without user, query and fragment.

    Attributes:
        equals: the address it must be; `{key}` stands for a value of the target file. Empty for any host.
        path: whether something may stand behind the host; a trailing slash is something.
        shown: whether host and path may be shown; not for an address that is a secret itself.
    """

    kind: Literal["url"]
    schemes: tuple[Scheme, ...] = Field(default=("https",), min_length=1)
    equals: str = ""
    path: Literal["none", "any"] = "none"
    shown: bool = True

    @property
    def expected(self) -> str:
        """The shape for people."""
        if self.equals:
            return self.equals
        scheme = " or ".join(f"{scheme}://" for scheme in self.schemes)
        return f"bare host behind {scheme}" if self.path == "none" else f"{scheme} address"


class ServiceUrl(_Part):
    """The URL of a service of the compose file, with user or password.

    Attributes:
        service: that service's kind in the target file.
    """

    kind: Literal["service-url"]
    service: Literal["postgres", "redis"]
    schemes: tuple[Scheme, ...] = Field(min_length=1)

    @property
    def expected(self) -> str:
        """The shape for people."""
        return f"{' or '.join(self.schemes)} URL of the compose file's {self.service}"


class Host(_Part):
    """A host name or address by itself.

    Attributes:
        service: the kind of the compose file's service that it must be; empty for any host.
    """

    kind: Literal["host"]
    service: Literal["postgres", "redis", ""] = ""

    @property
    def expected(self) -> str:
        """The shape for people."""
        return f"host of the compose file's {self.service}" if self.service else "host name"


class Number(_Part):
    """A whole number, decimal digits only."""

    kind: Literal["integer"]
    least: int = 0
    most: int | None = None

    @property
    def expected(self) -> str:
        """The shape for people."""
        upper = f"to {self.most}" if self.most is not None else "or more"
        return f"whole number, {self.least} {upper}"


class Port(_Part):
    """A TCP port."""

    kind: Literal["port"]
    least: ClassVar[int] = 1
    most: ClassVar[int] = 65535

    @property
    def expected(self) -> str:
        """The shape for people."""
        return "port, 1 to 65535"


class Choice(_Part):
    """One of some words, which are no secret."""

    kind: Literal["choice"]
    values: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)

    @property
    def expected(self) -> str:
        """The shape for people."""
        return " or ".join(self.values)


class Address(_Part):
    """An e-mail address, by itself or as `Name <address>`."""

    kind: Literal["email"]
    most: ClassVar[int] = 1

    @property
    def expected(self) -> str:
        """The shape for people."""
        return "e-mail address"


class Addresses(_Part):
    """E-mail addresses, separated by commas or as a JSON list."""

    kind: Literal["emails"]
    most: ClassVar[int] = 1000

    @property
    def expected(self) -> str:
        """The shape for people."""
        return "list of e-mail addresses"


class Bucket(_Part):
    """The name of an S3 bucket."""

    kind: Literal["bucket"]

    @property
    def expected(self) -> str:
        """The shape for people."""
        return "bucket name"


FLAG = ("1", "true", "yes")
"""What switches a flag of the website on (plan, "Website instance")."""


class Flag(_Part):
    """A switch that is on or unset."""

    kind: Literal["flag"]
    values: ClassVar[tuple[str, ...]] = FLAG

    @property
    def expected(self) -> str:
        """The shape for people."""
        return f"{', '.join(self.values)} or unset"


Shape = Annotated[
    Text | Url | ServiceUrl | Host | Number | Port | Choice | Address | Addresses | Bucket | Flag,
    Field(discriminator="kind"),
]


class Strength(_Part):
    """How strong a secret must be; of a URL it is the password that counts.

    Attributes:
        length: in characters.
        kinds: of lower case, upper case, digits and others.
        distinct: different characters.
    """

    length: int = Field(default=24, ge=1)
    kinds: int = Field(default=2, ge=1, le=4)
    distinct: int = Field(default=8, ge=1)

    @property
    def expected(self) -> str:
        """The strength for people."""
        return (
            f"{self.length} characters or more, {self.kinds} kinds of them, {self.distinct} different ones, "
            "and no known placeholder"
        )


class Variable(_Part):
    """One variable.

    Attributes:
        name: the table's.
        need: whether it must be set, may be, or must not be.
        named: `plan` if the plan states the name; an absent one is UNKNOWN if it is `assumed`.
        from_stage: of the cutover, from which it is set; it is optional then. None if it has no stage.
        strength: set for a secret that must withstand guessing.
        why: what it is for, and where the plan says so.
    """

    name: Name
    need: Literal["required", "optional", "forbidden"] = "required"
    named: Literal["plan", "assumed"] = "plan"
    from_stage: int | None = Field(default=None, ge=0, le=LAST_STAGE)
    shape: Shape = Text()
    strength: Strength | None = None
    why: str = Field(min_length=1)

    def __str__(self) -> str:
        """Its name, as the results are called."""
        return self.name

    @model_validator(mode="after")
    def _a_stage_is_for_what_may_be_unset(self) -> Variable:
        if self.from_stage is not None and self.need != "optional":
            raise ValueError('from_stage: it goes with need = "optional"')
        return self


class Requirement(_Part):
    """What must be set: a variable, or every one of some alternative.

    Attributes:
        name: the variable's or the group's.
        alternatives: names of variables; all of one alternative must be set.
    """

    name: str
    alternatives: tuple[tuple[Name, ...], ...]

    def __str__(self) -> str:
        """Its name, as the results are called."""
        return self.name

    @property
    def expected(self) -> str:
        """The requirement for people."""
        return " or ".join(" and ".join(names) for names in self.alternatives) + " set and not blank"

    @property
    def names(self) -> tuple[str, ...]:
        """Every name of every alternative."""
        return tuple(dict.fromkeys(name for names in self.alternatives for name in names))


class Contract(_Part):
    """A contract.

    Attributes:
        instance: whose environment it is about.
        variable: each variable by its name.
        group: alternatives of which one must be set as a whole, by the group's name; their variables are
            optional by themselves.
    """

    instance: Instance
    variable: dict[str, Variable] = Field(min_length=1)
    group: dict[str, tuple[Annotated[tuple[Name, ...], Field(min_length=1)], ...]] = {}

    @model_validator(mode="after")
    def _groups_are_of_optional_variables(self) -> Contract:
        for group, alternatives in self.group.items():
            if len(alternatives) < 2:
                raise ValueError(f"group.{group}: give two alternatives or more")
            for name in (name for names in alternatives for name in names):
                if name not in self.variable:
                    raise ValueError(f"group.{group}: there is no variable {name}")
                if self.variable[name].need != "optional":
                    raise ValueError(f'group.{group}: {name} must have need = "optional"')
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Every variable's name."""
        return tuple(self.variable)

    @property
    def required(self) -> tuple[Requirement, ...]:
        """What must be set at every stage."""
        single = [
            Requirement(name=name, alternatives=((name,),))
            for name, variable in self.variable.items()
            if variable.need == "required"
        ]
        return (*single, *(Requirement(name=name, alternatives=of) for name, of in self.group.items()))

    @property
    def forbidden(self) -> tuple[str, ...]:
        """The names that must not be set."""
        return tuple(name for name, one in self.variable.items() if one.need == "forbidden")

    @property
    def shaped(self) -> tuple[Variable, ...]:
        """The variables that may be set, each with a shape."""
        return tuple(one for one in self.variable.values() if one.need != "forbidden")

    @property
    def secrets(self) -> tuple[tuple[Variable, Strength], ...]:
        """The variables whose strength is judged, with how strong they must be."""
        return tuple((one, one.strength) for one in self.variable.values() if one.strength)

    def staged(self, stage: int) -> tuple[str, ...]:
        """Return the names that are set at a stage of the cutover and were not before its beginning."""
        return tuple(
            name
            for name, one in self.variable.items()
            if one.from_stage is not None and one.from_stage <= stage
        )


def load(path: Path) -> Contract:
    """Read a contract.

    Raises:
        UsageError: it cannot be read or is wrong; every mistake is listed at once.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); restore the contract.") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML ({error}); correct the file.") from error
    try:
        return Contract.model_validate(_with_names(document))
    except ValidationError as error:
        mistakes = [
            f"  {_place(detail['loc'])}: {detail['msg'].removeprefix('Value error, ')}"
            for detail in error.errors(include_input=False, include_url=False)
        ]
        raise UsageError(
            f"{path}: {len(mistakes)} mistake(s) in the contract; correct them:\n" + "\n".join(mistakes)
        ) from error


@cache
def of(instance: Instance) -> Contract:
    """Read the contract of an instance, once.

    Raises:
        UsageError: it cannot be read or is wrong.
    """
    return load(DIRECTORY / f"{instance}.toml")


def check() -> None:
    """Read the contract of every instance.

    Raises:
        UsageError: one cannot be read or is wrong.
    """
    for instance in get_args(Instance):
        of(instance)


def _with_names(document: dict[str, object]) -> dict[str, object]:
    tables = document.get("variable")
    if not isinstance(tables, dict):
        return document
    named = {
        name: {"name": name, **table} if isinstance(table, dict) else table for name, table in tables.items()
    }
    return {**document, "variable": named}


def _place(location: Iterable[object]) -> str:
    return re.sub(r"\.(?:function-\w+|tagged-union)\S*", "", ".".join(map(str, location))) or "file"
