"""The load room: offered load, prober and token ledger. It knows no fault."""
