"""The learners that another vendor knows: some of the company's, and a few of its own."""

from collections.abc import Iterator
from datetime import datetime
from itertools import count
from random import Random
from typing import NamedTuple

from receiver.simulator.company import Company, office_moment

OUTSIDERS = (
    "abebe.haile", "birgit.olsen", "chidi.eze", "dolores.vega", "eun-ji.han", "farid.nasser",
    "greta.lund", "hugo.blanc", "ilse.maes", "jorge.pinto", "katya.orlova", "lin.yao",
)  # fmt: skip


class Person(NamedTuple):
    """A learner as one vendor knows them."""

    id: int
    """The vendor's own ID; it matches no ID at another vendor."""
    email: str
    team: str | None
    """None for a person that only this vendor knows."""
    skill: float
    """0 to 1: the share of a test that they get right."""
    since: datetime
    until: datetime

    @property
    def first_name(self) -> str:
        return self._names[0]

    @property
    def last_name(self) -> str:
        return self._names[1]

    @property
    def _names(self) -> list[str]:
        """As the address spells them, without a number at the end."""
        return self.email.partition("@")[0].rstrip("0123456789").title().split(".")

    def moments(self, how_many: int, dice: Random) -> Iterator[datetime]:
        """Times in office hours between `since` and `until`, in order."""
        yield from sorted(office_moment(dice, self.since, self.until) for _ in range(how_many))


def people_of(
    company: Company, dice: Random, share: float, first_id: int, domain: str
) -> list[Person]:
    """A `share` of the company, with the same email addresses, and 1 to 12 people from `domain`
    that only this vendor knows: a tenth on top."""
    known = [one for one in company.learners if dice.random() < share]
    outside = dice.sample(OUTSIDERS, min(len(OUTSIDERS), 1 + len(known) // 10))
    ids = count(first_id)
    return [
        *(
            Person(next(ids), one.email, one.team, one.skill, one.hired, one.left or company.end)
            for one in known
        ),
        *(
            Person(next(ids), f"{name}@{domain}", None, dice.random(), company.begin, company.end)
            for name in outside
        ),
    ]


def active(people: list[Person], company: Company) -> list[Person]:
    """The people who have not left by the end of the history; all people if all have left."""
    return [one for one in people if one.until == company.end] or people
