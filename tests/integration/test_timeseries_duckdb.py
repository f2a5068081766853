"""What a file adds to the port's promises: it is there again, whatever happened."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from cloud.settings import TimeSeriesStore
from cloud.timeseries.duckdb import DuckDB
from cloud.timeseries.duckdb.file import File
from cloud.timeseries.open import open_timeseries
from cloud.timeseries.port import Latest, Series, SeriesQuery
from tests.support.processes import kill_when_it_says
from tidegate.configuration import Secret
from tidegate.errors import Misconfigured
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.points import PointBatch

pytestmark = pytest.mark.anyio

_KEY = SeriesKey(TenantId("acme"), DeviceId("pump"), MetricName("t"))
_ALWAYS = SeriesQuery(0, 2**62)
_WRITER = """
import sys, anyio
from pathlib import Path
from cloud.timeseries.duckdb import DuckDB
from wire.ids import SeriesKey
from wire.points import PointBatch

async def main():
    async with DuckDB(Path(sys.argv[1])) as store:
        for ts in range(1_000_000):
            keys = [SeriesKey("acme", "pump", f"m{i}") for i in range(10)]
            await store.write(PointBatch(keys, [ts] * 10, [float(ts)] * 10))
            print(ts, flush=True)

anyio.run(main)
"""


async def test_duckdb_reopened_has_everything(tmp_path: Path) -> None:
    """Numbers, states, latest values and recognition of old points survive a restart."""
    path = tmp_path / "t.duckdb"
    state = _KEY._replace(metric=MetricName("mode"))
    async with DuckDB(path) as store:
        await store.write(PointBatch([_KEY], [10], [1.0]))
        await store.write(PointBatch([state, _KEY], [10, 20], ["auto", 2.0]))

    async with DuckDB(path) as store:
        latest = await store.latest()
        await store.write(PointBatch([_KEY, state], [20, 10], [3.0, False]))
        found = await store.read(_ALWAYS)

    assert latest == [Latest(state, 10, "auto"), Latest(_KEY, 20, 2.0)]
    assert found == [Series(state, [(10, False)]), Series(_KEY, [(10, 1.0), (20, 3.0)])]


async def test_duckdb_reopened_knows_the_newest_by_time_and_order(tmp_path: Path) -> None:
    """The newest of several kinds and of several points of one time is found again."""
    path = tmp_path / "t.duckdb"
    other = _KEY._replace(metric=MetricName("u"))
    async with DuckDB(path) as store:
        await store.write(PointBatch([_KEY] * 3, [20, 20, 10], [2.0, 3.0, "old"], [2, 1, 9]))
        await store.write(PointBatch([other] * 2, [10, 10], [1.0, "new"], [1, 2]))
        before = await store.latest()

    async with DuckDB(path) as store:
        after = await store.latest()

    assert before == after == [Latest(_KEY, 20, 2.0), Latest(other, 10, "new")]


_EARLIER = """
CREATE TABLE series (id INTEGER NOT NULL, tenant VARCHAR NOT NULL, device VARCHAR NOT NULL,
    metric VARCHAR NOT NULL);
CREATE TABLE points (series_id INTEGER NOT NULL, ts_ms BIGINT NOT NULL, value DOUBLE NOT NULL);
CREATE TABLE states (series_id INTEGER NOT NULL, ts_ms BIGINT NOT NULL, state VARCHAR NOT NULL);
INSERT INTO series VALUES (0, 'acme', 'pump', 't');
INSERT INTO points VALUES (0, 10, 1.0), (0, 20, 2.0);
INSERT INTO states VALUES (0, 15, '"auto"');
"""


async def test_duckdb_takes_files_of_earlier_versions(tmp_path: Path) -> None:
    """Points that were stored without an order have 0: they are found, and can be replaced."""
    path = tmp_path / "t.duckdb"
    with duckdb.connect(str(path)) as earlier:
        earlier.execute(_EARLIER)

    for _ in range(2):
        async with DuckDB(path) as store:
            await store.write(PointBatch([_KEY] * 3, [10, 15, 15], [9.0, False, 3.0], [0, 0, 4]))
            latest, found = await store.latest(), await store.read(_ALWAYS)

    assert latest == [Latest(_KEY, 20, 2.0)]
    assert found == [Series(_KEY, [(10, 9.0), (15, False), (15, 3.0), (20, 2.0)])]


async def test_duckdb_takes_files_of_a_version_without_rollups(tmp_path: Path) -> None:
    """Its points are rolled up by and by, and read the same before and after."""
    path = tmp_path / "t.duckdb"
    with duckdb.connect(str(path)) as earlier:
        earlier.execute(_EARLIER)
        earlier.execute("ALTER TABLE points ADD COLUMN ord BIGINT DEFAULT 0")
        earlier.execute("INSERT INTO points SELECT 0, i * 1000, i, 0 FROM range(30, 100000) r(i)")
    query = SeriesQuery(0, 2**62, step_ms=300_000, aggregate="max")

    async with DuckDB(path) as store:
        before = await store.read(query)
        await store.tend(200_000_000)
        after = await store.read(query)

    assert before == after
    with duckdb.connect(str(path)) as database:
        assert database.execute("SELECT count(*) FROM rollups_5m").fetchall() == [(334,)]
        assert database.execute("SELECT number FROM version").fetchall() == [(2,)]


async def test_duckdb_file_of_a_newer_version_is_misconfigured(tmp_path: Path) -> None:
    """An older program leaves it alone and says which one is needed."""
    path = tmp_path / "t.duckdb"
    async with DuckDB(path):
        pass
    with duckdb.connect(str(path)) as newer:
        newer.execute("UPDATE version SET number = 99")

    with pytest.raises(Misconfigured, match="newer version of Tidegate"):
        async with DuckDB(path):
            pass


@pytest.mark.parametrize("table", ["orders (id INTEGER)", "points (x INTEGER, y INTEGER)"])
async def test_duckdb_database_of_something_else_is_misconfigured(
    tmp_path: Path, table: str
) -> None:
    """Nothing is changed in a database that is not ours."""
    path = tmp_path / "t.duckdb"
    with duckdb.connect(str(path)) as other:
        other.execute(f"CREATE TABLE {table}")

    with pytest.raises(Misconfigured, match="something else"):
        async with DuckDB(path):
            pass

    with duckdb.connect(str(path)) as other:
        assert len(other.execute("SHOW TABLES").fetchall()) == 1


async def test_duckdb_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    """A file whose first blocks are overwritten stops the start with a way out."""
    path = tmp_path / "t.duckdb"
    async with DuckDB(path) as store:
        await store.write(PointBatch([_KEY] * 1000, list(range(1000)), [1.0] * 1000))
    content = bytearray(path.read_bytes())
    content[4096:16_384] = b"\xff" * 12_288
    path.write_bytes(content)

    with pytest.raises(Misconfigured, match=r"t\.duckdb\.wal away"):
        async with DuckDB(path):
            pass


async def test_duckdb_is_bounded_by_settings(tmp_path: Path) -> None:
    """The engine holds no more memory and threads than it was given."""
    store = DuckDB(tmp_path / "t.duckdb", TimeSeriesStore(memory_mb=256, threads=1))
    async with store:
        with store._file.cursor() as cursor:
            found = cursor.execute(
                "SELECT current_setting('memory_limit'), current_setting('threads')"
            ).fetchall()

    assert found == [("256.0 MiB", 1)]


async def test_duckdb_killed_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    """After `kill -9` in the middle of writes, every batch that was confirmed is whole."""
    path = tmp_path / "t.duckdb"
    command = [sys.executable, "-c", _WRITER, str(path)]

    last = int(kill_when_it_says(command, lambda line: int(line) >= 60)[-1])

    async with DuckDB(path) as store:
        found = await store.read(_ALWAYS)
    lengths = {len(series.points) for series in found}
    assert len(found) == 10
    assert len(lengths) == 1
    assert lengths.pop() >= last + 1


@pytest.fixture
def held_file(tmp_path: Path) -> Iterator[Path]:
    """Return a database that another process has open."""
    path = tmp_path / "held.duckdb"
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        yield path
        other.communicate("\n")


async def test_duckdb_held_by_another_process_is_misconfigured(held_file: Path) -> None:
    """One clear line says who is in the way and what to do."""
    with pytest.raises(Misconfigured, match="in use by another process"):
        async with DuckDB(held_file):
            pass


async def test_duckdb_broken_file_is_misconfigured(tmp_path: Path) -> None:
    """A file that is no database names itself."""
    path = tmp_path / "t.duckdb"
    path.write_text("this is no database " * 1000)

    with pytest.raises(Misconfigured, match=r"t\.duckdb"):
        async with DuckDB(path):
            pass


@pytest.mark.parametrize(
    "url",
    [
        "http://host/db",
        "influx://host",
        "influx://h/db?x=1",
        "duckdb:",
        "duckdb://host/x",
        "nothing",
    ],
)
async def test_open_refuses_other_urls(url: str, tmp_path: Path) -> None:
    """An address of a store that we do not know stops the start."""
    with pytest.raises(Misconfigured, match=r"timeseries\.url"):
        async with open_timeseries(Secret(url), data_dir=tmp_path):
            pass


async def test_open_takes_a_file_by_url(tmp_path: Path) -> None:
    """`duckdb:///` and an absolute path is that file."""
    path = tmp_path / "other" / "t.duckdb"

    async with open_timeseries(Secret(f"duckdb:///{path}"), data_dir=tmp_path) as store:
        await store.ping()

    assert path.exists()


def test_duckdb_transaction_that_fails_changes_nothing(tmp_path: Path) -> None:
    """Whatever made it fail; and the next one is another."""
    file = File(tmp_path / "t.duckdb", TimeSeriesStore())
    file.open()
    insert = "INSERT INTO series VALUES (?, 'acme', 'pump', 't')"

    with suppress(LookupError), file.transaction() as connection:
        connection.execute(insert, [1])
        raise LookupError
    with file.transaction() as connection:
        connection.execute(insert, [2])
        left = connection.execute("SELECT id FROM series").fetchall()
    file.close()

    assert left == [(2,)]
