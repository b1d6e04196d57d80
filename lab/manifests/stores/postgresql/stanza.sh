#!/bin/sh
# Patroni calls this with: action role cluster. A new leader makes sure that both backup repositories
# know this database; it tries on while a store is away, and Patroni ends it when the role changes.
set -eu
case "$2" in master | primary | promoted) ;; *) exit 0 ;; esac
until pgbackrest --stanza=acp stanza-create || pgbackrest --stanza=acp stanza-upgrade; do sleep 3; done
