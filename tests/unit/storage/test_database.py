from sqlalchemy import select

from storage.engine import Database
from storage.tables.governance import counters


def test_a_rolled_back_transaction_leaves_nothing(database: Database) -> None:
    try:
        with database.begin() as connection:
            connection.execute(counters.insert().values(name="x", value=1))
            raise KeyError
    except KeyError:
        pass
    with database.read() as connection:
        assert connection.execute(select(counters)).all() == []
