"""Sharing by proof: a module serves another kernel only when symbols, flags, configuration and layouts are the same."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from builder.plan import BuildPlan, plan_builds
from builder.run import RunOptions, open_batch
from builder.source import load_source
from kdriver.cli import run
from kdriver.core.artifact import DriverKind
from kdriver.core.errors import ExitCode
from kdriver.inspect.elf import read_object
from kdriver.repository.gather import gather, kernels_of, read_built_folder
from kdriver.verifier.artifacts import artifacts_for, find_artifacts
from tests.fakes.tiny_kernel import BuildSite, TinyKernel, build_site

Capture = pytest.CaptureFixture[str]
SCHED = """
#ifndef _LINUX_SCHED_H
#define _LINUX_SCHED_H
#include <linux/kernel.h>
struct kd_pointed_to {{
	{inner};
}};
struct task_struct {{
	long state;
	{outer};
	struct kd_pointed_to *more;
}};
#endif
"""


SLAB = """
#ifndef _LINUX_SLAB_H
#define _LINUX_SLAB_H
#include <linux/kernel.h>
#define GFP_KERNEL 0x1u
extern void *kmalloc(unsigned long size, int flags);
extern void kfree(const void *memory);
#endif
"""


def sched(outer: str = "int pid", inner: str = "int a") -> dict[str, str]:
    return {"linux/sched.h": SCHED.format(outer=outer, inner=inner)}


UP = '#include <generated/utsrelease.h>\n#define VERMAGIC_STRING UTS_RELEASE " UP "\n'
FIRST = TinyKernel(headers=sched(), settings="#define CONFIG_SMP 1\n")


def other(**fields: Any) -> TinyKernel:
    same: dict[str, Any] = {"headers": sched(), "settings": "#define CONFIG_SMP 1\n"}
    return TinyKernel(release="1.2.4-tiny-amd64", version="1.2.4-1", **{**same, **fields})


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BuildSite]:
    with build_site(tmp_path) as made:
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        source = made.driver_source()
        code = source / "kmod/toy.c"
        code.write_text(
            code.read_text().replace("#include <linux/slab.h>", "#include <linux/sched.h>\n#include <linux/slab.h>")
        )
        with (source / "common/kd_toy.h").open("a") as header:
            header.write("struct task_struct;\nextern struct task_struct *kd_toy_task;\n")
        yield made


def build(site: BuildSite, *words: str, kinds: tuple[str, ...] = ("kmod",)) -> int:
    source = ["--driver-src", str(site.folder / "toy_driver")]
    kind_words = [word for kind in kinds for word in ("--kind", kind)]
    return run(["build", "--distro", "debian12", *kind_words, "-j", "1", *source, *words])


def results(capture: Capture) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(capture.readouterr().out)
    return found


@pytest.mark.parametrize(
    ("second", "outcome"),
    [
        pytest.param(other(), "shared", id="all is the same but the release"),
        pytest.param(other(exported={"kd_other": 7}), "shared", id="a symbol that it does not import"),
        pytest.param(
            other(settings='#define CONFIG_BUILD_SALT "1.2.4"\n#define CONFIG_SMP 1\n'), "shared", id="the build's salt"
        ),
        pytest.param(other(exported={"kfree": 7}), "built", id="the CRC of a symbol that it imports"),
        pytest.param(other(headers=sched(outer="long pid")), "built", id="a structure that it names"),
        pytest.param(other(headers=sched(inner="long a")), "built", id="a structure that one points to"),
        pytest.param(other(settings="#define CONFIG_SMP 2\n"), "built", id="the configuration"),
        pytest.param(
            other(headers={**sched(), "linux/vermagic.h": UP}),
            "built",
            id="flags of vermagic",
        ),
        pytest.param(
            other(headers={**sched(), "linux/slab.h": SLAB.replace("0x1u", "0x2u")}), "built", id="a macro that it uses"
        ),
        pytest.param(
            other(headers={**sched(), "linux/slab.h": SLAB + "#define UNUSED 1\n"}), "shared", id="one that it does not"
        ),
        pytest.param(other(modversions=False), "built", id="a kernel that wants no CRCs and compares the release"),
    ],
)
def test_module_serves_another_kernel_when_nothing_it_sees_differs(
    second: TinyKernel, outcome: str, site: BuildSite, capsys: Capture
) -> None:
    first = site.add(FIRST)
    site.add(second)
    assert build(site, "--json") == ExitCode.DONE
    one, two = results(capsys)
    assert (one["outcome"], two["outcome"]) == ("built", outcome)
    assert (two["sha256"] == one["sha256"]) is (outcome == "shared")
    assert two["shared_with"] == (first.key if outcome == "shared" else "")


INLINE = "static inline int kd_inline(void)\n{{\n\treturn {number};\n}}\n"


@pytest.fixture
def probe_site(site: BuildSite) -> BuildSite:
    """The toy's probe calls an inline function of the kernel's headers."""
    code = site.folder / "toy_driver/bpf/toy.bpf.c"
    code.write_text(code.read_text().replace("== KD_TOY_VALUE", "== KD_TOY_VALUE + kd_inline()"))
    return site


def with_inline(number: int, **fields: Any) -> dict[str, str]:
    headers = sched(**fields)
    return {"linux/sched.h": headers["linux/sched.h"].replace("#endif", INLINE.format(number=number) + "#endif")}


@pytest.mark.parametrize(
    ("second", "outcome"),
    [
        pytest.param(other(headers=with_inline(1)), "shared", id="all is the same but the release"),
        pytest.param(other(headers=with_inline(1), modversions=False), "shared", id="what modules only care for"),
        pytest.param(other(headers=with_inline(1, inner="long a")), "shared", id="a structure that it does not use"),
        pytest.param(other(headers=with_inline(2)), "built", id="an inline function"),
        pytest.param(other(headers=with_inline(1, outer="long pid")), "built", id="a layout"),
    ],
)
def test_probe_serves_another_kernel_when_its_code_is_the_same(
    second: TinyKernel, outcome: str, probe_site: BuildSite, capsys: Capture
) -> None:
    first = probe_site.add(TinyKernel(headers=with_inline(1), settings="#define CONFIG_SMP 1\n"))
    kernel = probe_site.add(second)
    assert build(probe_site, "--json", kinds=("bpf",)) == ExitCode.DONE
    one, two = results(capsys)
    assert (one["outcome"], two["outcome"]) == ("built", outcome)
    assert two["shared_with"] == (first.key if outcome == "shared" else "")
    record = json.loads((Path(two["artifact"]).parent / "record.json").read_text())
    assert (record["kernel"], record["release"], record["serves"]) == (kernel.key, kernel.release, "")
    assert read_object(Path(two["artifact"])).text("kd_release") == kernel.release
    made_of = [entry for entry in record["inputs"] if entry["name"] == f"eBPF object of {first.key}"]
    assert [entry["sha256"] for entry in made_of] == ([one["sha256"]] if outcome == "shared" else [])
    assert record["code_of"] == two["shared_with"]
    assert build(probe_site, "--json", "--no-share", "--force", kinds=("bpf",)) == ExitCode.DONE
    again = results(capsys)
    assert [entry["outcome"] for entry in again] == ["built", "built"]
    assert [entry["sha256"] for entry in again] == [one["sha256"], two["sha256"]], "the same bytes, built for itself"


def test_next_run_shares_again_and_no_share_builds_each(site: BuildSite, capsys: Capture) -> None:
    site.add(FIRST)
    second = site.add(other())
    assert build(site, "--json") == ExitCode.DONE
    capsys.readouterr()
    assert build(site, "--json") == ExitCode.DONE
    assert [one["outcome"] for one in results(capsys)] == ["cached", "shared"]
    assert (
        run(
            [
                "build",
                "--kernel",
                second.key,
                "--kind",
                "kmod",
                "--json",
                "--driver-src",
                str(site.folder / "toy_driver"),
            ]
        )
        == 0
    )
    assert [one["outcome"] for one in results(capsys)] == ["built"], "a kernel alone has its own module"
    assert build(site, "--no-share", "--force", "--json") == ExitCode.DONE
    assert [one["outcome"] for one in results(capsys)] == ["built", "built"]


def test_force_shares_only_what_the_same_batch_built(site: BuildSite, capsys: Capture) -> None:
    first, second = site.add(FIRST), site.add(other())
    assert build(site, "--json") == ExitCode.DONE
    capsys.readouterr()
    both = ["--kernel", second.release, "--kernel", first.release]
    assert build(site, "--json", "--force", *both) == ExitCode.DONE
    assert [(one["kernel"], one["outcome"]) for one in results(capsys)] == [
        (second.key, "built"),
        (first.key, "shared"),
    ]


def test_what_a_build_uses_is_marked_as_used_for_the_next_prune(site: BuildSite) -> None:
    site.add(FIRST)
    site.add(other())
    assert build(site) == ExitCode.DONE

    def still_old(store: str) -> list[Path]:
        return [path for path in (site.cache / store).glob("[0-9a-f]*.json") if path.stat().st_mtime == 1]

    for path in (*site.cache.glob("shares/*.json"), *site.cache.glob("layouts/*.json")):
        os.utime(path, (1, 1))
    assert len(still_old("shares")) == 1
    assert len(still_old("layouts")) == 4, "of two header sets the layouts, and the code that clang makes with them"
    assert build(site) == ExitCode.DONE
    assert not still_old("shares")
    for path in site.cache.glob("shares/*.json"):
        path.unlink()
    assert build(site) == ExitCode.DONE
    assert not still_old("layouts")


def test_kernel_that_can_share_waits_for_the_one_that_is_being_built(site: BuildSite, capsys: Capture) -> None:
    site.add(FIRST)
    site.add(other())
    assert build(site, "--json", "-j", "2") == ExitCode.DONE
    assert sorted(one["outcome"] for one in results(capsys)) == ["built", "shared"]


def test_saving_is_printed(site: BuildSite, capsys: Capture) -> None:
    site.add(FIRST)
    site.add(other())
    assert build(site) == ExitCode.DONE
    said = capsys.readouterr().out
    assert "servesastheoneof1.2.3-tiny-amd64" in "".join(said.split()), "the column may fold"
    last = said.splitlines()[-1]
    assert last.startswith("2 drivers: 1 built, 1 shared; 1 builds saved, ")


def test_shared_file_is_verified_and_published_for_each_kernel(
    site: BuildSite, tmp_path: Path, capsys: Capture
) -> None:
    kernels = [site.add(FIRST), site.add(other())]
    out = tmp_path / "out"
    assert build(site, "--out", str(out)) == ExitCode.DONE
    record = json.loads((out / kernels[1].release / "kdriver.ko.json").read_text())
    assert (record["kernel"], record["serves"]) == (kernels[0].key, kernels[1].key)
    found = find_artifacts(out)
    for kernel in kernels:
        drivers, missing = artifacts_for(found, [DriverKind.KMOD], kernel=kernel.key, release=kernel.release)
        assert len(drivers) == 1 and not missing
        assert drivers[0].path.parent.name == kernel.release
    built = read_built_folder(out)
    assert kernels_of(built, tmp_path / "verdicts") == {kernel.key for kernel in kernels}
    candidates = gather(built, kernels, [DriverKind.KMOD], tmp_path / "verdicts")
    assert [(one.kernel.key, one.artifact.sha256) for one in candidates] == [
        (kernel.key, record["sha256"]) for kernel in kernels
    ]


def test_headers_that_say_nothing_of_layouts_share_nothing_and_say_so(
    site: BuildSite, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    site.add(FIRST)
    second = site.add(other(headers={**sched(), "linux/vermagic.h": "#error none\n"}))
    assert build(site, "--json") == ExitCode.DONE
    assert [one["outcome"] for one in results(capsys)] == ["built", "built"]
    assert f"{second.key}: nothing can be shared with it" in caplog.text


def test_module_that_clang_does_not_compile_serves_no_other_kernel(site: BuildSite, capsys: Capture) -> None:
    site.add(FIRST)
    site.add(other())
    with (site.folder / "toy_driver/kmod/toy.c").open("a") as code:  # gcc has functions in functions, clang has not
        code.write("int kd_f(int a);\nint kd_f(int a)\n{\n\tint g(int b) { return b; }\n\treturn g(a);\n}\n")
    assert build(site, "--json") == ExitCode.DONE
    assert [one["outcome"] for one in results(capsys)] == ["built", "built"]


def test_what_served_another_kernel_is_remembered_only_where_both_share(site: BuildSite, capsys: Capture) -> None:
    kernels = [site.add(FIRST), site.add(other())]
    assert build(site, "--json") == ExitCode.DONE
    assert [one["outcome"] for one in results(capsys)] == ["built", "shared"]
    source = load_source(site.folder / "toy_driver")
    plans = plan_builds(kernels, (DriverKind.KMOD,), source)

    def known(which: Sequence[BuildPlan], **options: Any) -> list[str]:
        with open_batch(which, source, RunOptions(**options)) as batch:
            found = [batch.remembered(plan) for plan in which]
        return ["" if one is None else str(one.outcome) for one in found]

    assert known(plans) == ["cached", "shared"]
    assert known(plans, share=False) == ["cached", ""]
    assert known(plans[1:]) == [""], "a kernel alone has its own"
