"""Who learns at another vendor: some of the company's learners, and a few whom only it knows."""

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
    """The vendor's own; it matches nobody at another vendor."""
    email: str
    team: str | None
    """None for those whom no other vendor knows."""
    skill: float
    """0 to 1: how much of a test they get right."""
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
        """As the address spells them; some have a number at the end."""
        return self.email.partition("@")[0].rstrip("0123456789").title().split(".")

    def moments(self, how_many: int, dice: Random) -> Iterator[datetime]:
        """Times in office hours while they are there, in order."""
        yield from sorted(office_moment(dice, self.since, self.until) for _ in range(how_many))


def people_of(
    company: Company, dice: Random, share: float, first_id: int, domain: str
) -> list[Person]:
    """`share` of the company, by the e-mail that it knows them by, and a tenth on top from
    `domain`, of whom only this vendor knows; one at least, twelve at most."""
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


def still_there(people: list[Person], company: Company) -> list[Person]:
    """Those who have not left by the end of the history; everybody if all have."""
    return [one for one in people if one.until == company.end] or people
