"""What every table shares: naming of constraints, and the column types that recur."""

import uuid
from datetime import date, datetime
from typing import Annotated, Any

from sqlalchemy import Date, DateTime, ForeignKey, MetaData, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

Id = Annotated[uuid.UUID, mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))]
PersonId = Annotated[uuid.UUID, mapped_column(ForeignKey("person.id"))]
CreatedAt = Annotated[datetime, mapped_column(server_default=func.clock_timestamp())]
Instant = Annotated[datetime, mapped_column(DateTime(timezone=True))]


class Base(DeclarativeBase):
    """Constraints are named by one convention, so that a refusal of the database can be translated by name."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy reads this name off the class)
        datetime: DateTime(timezone=True),
        date: Date(),
        str: Text,
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        list[str]: ARRAY(Text),
    }
