"""Tests of the ACP stand-in against real Redis, PostgreSQL and a client library."""
