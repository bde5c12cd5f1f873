"""PostgreSQL for the tests that ask for it."""

from tests.collector.conftest import postgres as postgres
