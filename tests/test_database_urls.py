import pytest
from sqlalchemy import make_url

from llm_backend.database_urls import is_sqlite, normalise, password


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("sqlite:///llm-backend.db", "sqlite+aiosqlite:///llm-backend.db"),
        ("sqlite:////var/lib/x.db", "sqlite+aiosqlite:////var/lib/x.db"),
        ("postgres://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgresql://u:p@h:5433/d", "postgresql+asyncpg://u:p@h:5433/d"),
        ("postgresql+asyncpg://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgresql:///postgres", "postgresql+asyncpg:///postgres"),
        ("postgresql://h/d?sslmode=require", "postgresql+asyncpg://h/d?sslmode=require"),
        ("postgresql://u:p/a?s#s:@[::1]:5/d?host=/run", "postgresql+asyncpg://u:p/a?s#s:@[::1]:5/d?host=/run"),
        (" postgresql://u:p%40ss@h/d\n", "postgresql+asyncpg://u:p%40ss@h/d"),
    ],
)
def test_every_way_to_write_a_database_becomes_one(written: str, normal: str) -> None:
    assert normalise(written) == normal
    assert normalise(normal) == normal


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p/a?s#s:@[::1]:5433/d?sslmode=require&host=/run",
        "postgresql://u@h",
        "postgresql://:p@/d",
        "sqlite:////a/b#c",
        "sqlite:///a b.db",
    ],
)
def test_the_driver_reads_the_same_of_it_as_was_checked(url: str) -> None:
    read = make_url(normalise(url))

    assert read.password == password(url)
    assert is_sqlite(url) == (read.get_backend_name() == "sqlite")
    assert read.render_as_string(hide_password=False) == make_url(url).set(drivername=read.drivername).render_as_string(
        hide_password=False
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "mysql://u:hunter2@h/d",
        "hunter2",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///x.db?cache=shared",
        "postgresql://u:hunter2@h/d?sslmode=sometimes",
        "postgresql://u:hunter2@h/d?sslrootcert=/ca.pem",
        "postgresql://u:hunter2@h/d?target=x",
        "postgresql://u:hunter2@h:port/d",
        "postgresql://u:hunter2@h@i/d",
        "postgresql://u:hunter2@[h/d",
        "sqlite://u:hunter2@h/x.db",
    ],
)
def test_a_url_that_cannot_be_served_is_refused_without_its_password(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        normalise(wrong)

    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
