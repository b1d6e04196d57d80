"""Images of ACP's stand-in and of the stores: loaded into the running cluster, so that a change
needs no new nodes.
"""

from lab.images import Binary, Recipe
from lab.oci import ImageConfig
from lab.paths import LAB_DIR, PROJECT_DIR
from lab.rootfs import TRIXIE

STORES = Recipe(
    "stores",
    ("docker.io/lab/stores:1",),
    base=TRIXIE,
    packages=(
        "redis-server",
        "redis-tools",
        "postgresql-17",
        "postgresql-17-timescaledb",
        "patroni",
        "python3-kubernetes",
        "pgbackrest",
        "curl",
        "procps",
    ),
    prepared=(("/etc/postgresql-common/createcluster.conf", "create_main_cluster = false\n"),),
    binaries=(Binary("versitygw", "versitygw", "/usr/local/bin/versitygw"),),
    expected_s=60,
)

STANDIN = Recipe(
    "acp-standin",
    ("docker.io/lab/acp-standin:1",),
    base=TRIXIE,
    packages=("python3", "libpq5"),
    requirements=PROJECT_DIR / "requirements" / "standin.txt",
    sources=((LAB_DIR / "standin", "/opt/acp/lab/standin"),),
    config=ImageConfig(
        entrypoint=("/usr/bin/python3", "-m", "lab.standin"),
        user="65535:65535",
        env={"PYTHONPATH": "/opt/acp:/opt/site", "PYTHONDONTWRITEBYTECODE": "1"},
    ),
    expected_s=30,
)

APPS: tuple[Recipe, ...] = (STORES, STANDIN)
