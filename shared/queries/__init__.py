"""Every read, one file a subject. Aggregates are worked out in SQL; rows come ready to show."""

from typing import Any

from sqlalchemy import Row

AnyRow = Row[*tuple[Any, ...]]
