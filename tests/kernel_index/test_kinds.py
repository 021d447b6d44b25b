"""Which driver kinds can work: eBPF in el7 from 7.6, BTF in el8 from 8.2."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdriver.core.artifact import DriverKind
from kdriver.core.kernel import Kernel
from kernel_index.kinds import reason_against
from kernel_index.table import load_table, select_rows

TABLE = load_table(Path(__file__).parents[2] / "kernel_index" / "distros.toml")


@pytest.mark.parametrize(
    ("row_id", "release", "kind", "reason"),
    [
        ("centos7", "3.10.0-957.el7.x86_64", DriverKind.BPF, ""),
        ("centos7", "3.10.0-1160.119.1.el7.x86_64", DriverKind.BPF, ""),
        ("rhel7", "3.10.0-957.58.2.el7.x86_64", DriverKind.BPF, ""),
        ("centos7", "4.18.0-193.28.1.el7.aarch64", DriverKind.BPF, ""),
        (
            "centos7", "3.10.0-862.14.4.el7.x86_64", DriverKind.BPF,
            "on CentOS Linux 7 bpf drivers can work from 3.10.0-957.el7.x86_64 on",
        ),
        ("centos7", "3.10.0-123.el7.x86_64", DriverKind.KMOD, ""),
        (
            "centos7", "3.10.0-1160.el7.x86_64", DriverKind.CORE,
            "core drivers cannot work on kernels of CentOS Linux 7",
        ),
        ("centos8", "4.18.0-193.el8.x86_64", DriverKind.CORE, ""),
        (
            "rhel8", "4.18.0-147.8.1.el8_1.x86_64", DriverKind.CORE,
            "on Red Hat Enterprise Linux 8 core drivers can work from 4.18.0-193.el8.x86_64 on",
        ),
        ("centos9", "5.14.0-427.el9.x86_64+rt", DriverKind.CORE, ""),
        ("debian9", "4.19.0-0.bpo.6-amd64", DriverKind.BPF, ""),
        (
            "debian9", "4.9.0-19-amd64", DriverKind.BPF,
            "on Debian 9 (stretch) bpf drivers can work from 4.19.0-0.bpo.1-amd64 on",
        ),
        ("ubuntu16.04", "4.15.0-112-generic", DriverKind.BPF, ""),
        (
            "ubuntu16.04", "4.4.0-210-generic", DriverKind.BPF,
            "on Ubuntu 16.04 LTS (Xenial Xerus) bpf drivers can work from 4.15.0-13-generic on",
        ),
    ],
)  # fmt: skip
def test_a_kind_works_from_the_release_that_the_row_names(
    row_id: str, release: str, kind: DriverKind, reason: str
) -> None:
    row = select_rows(TABLE, row_id)[0]
    kernel = Kernel(row.family, row_id, release, "1", release.rpartition(".")[0], "x86_64", "generic", ())
    assert reason_against(kernel, kind, row) == reason
