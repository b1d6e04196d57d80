"""The check room: pure judgements on a record. No cluster, no network, no clock."""
