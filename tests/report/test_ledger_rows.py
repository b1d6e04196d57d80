"""The page's table of tokens tells what became of them by all looks, not by the last ones."""

from golden import records
from golden.records import at

from acpchaos.report.tables import ledger_rows


def lie(second, when, result):
    return records.TokenProbe(
        t_ns=at(second), token="refresh-3", item="refresh", when=when, result=result
    )


def test_a_lie_between_two_good_looks_is_on_the_page() -> None:
    told = [lie(2, "before", "valid"), lie(40, "during", "invalid"), lie(50, "during", "valid"),
            lie(82, "after", "valid")]  # fmt: skip
    rows = {row.item: row for row in ledger_rows(records.run_of([*records.good_events(), *told]))}
    refresh = rows["refresh"]
    assert refresh.looks["during"] == refresh.looks["after"] == "3 valid"
    assert (refresh.changed, refresh.fates, refresh.broken) == (False, "2 kept, 1 lied to", True)
    assert (rows["revoked_jwt"].fates, rows["revoked_jwt"].broken) == ("2 stayed invalid", False)


def test_without_declared_losses_there_is_no_fate() -> None:
    rows = ledger_rows(records.run_of(records.good_events(), claims=()))
    assert {(row.fates, row.broken) for row in rows} == {("", False)}
