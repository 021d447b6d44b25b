"""The toolchain of a kernel: its own gcc wherever that is, else the nearest newer one, else a clear no."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from builder.choice import ExecutorName, Toolchains
from builder.evidence import Evidence, Needs
from builder.failure import Failure, StepError
from builder.places import Place
from builder.toolchain import Compiler, Llvm, gcc_name
from kdriver.core.errors import ExitCode
from kdriver.core.kernel import Kernel
from kdriver.executors.local import LocalExecutor
from kernel_index.table import load_table

KERNEL = Kernel("debian", "debian13", "6.12.1-tiny", "1", "6.12.1-1", "x86_64", "tiny", ())
EVIDENCE = Evidence("6.12.1-tiny", "gcc-14 (Tiny) 14.2.0", (14, 2), True, (2, 38), "tools/objtool/objtool.real-x86")


def place(
    name: str, libc: tuple[int, int], *gccs: tuple[int, int], libraries: Sequence[str] = ("libelf.so.1",)
) -> Place:
    compilers = tuple(Compiler(f"/usr/bin/{gcc_name(one)}", one, f"{gcc_name(one)} of {name}") for one in gccs)
    image = "" if name == "this machine" else f"sha256:{name}"
    return Place(name, LocalExecutor(), libc, compilers, (), frozenset(libraries), "", "", image)


class Images:
    """Build images that an engine might have."""

    def __init__(self, **places: Place) -> None:
        self.engine = True
        self.places = places
        self.asked: list[str] = []

    def available(self) -> bool:
        return self.engine

    def names(self) -> tuple[str, ...]:
        return tuple(self.places)

    def contents(self) -> tuple[str, ...]:
        return tuple(place.image for place in self.places.values())

    def place(self, name: str) -> Place | None:
        self.asked.append(name)
        return self.places.get(name)

    def executors(self) -> Sequence[LocalExecutor]:
        return ()


def toolchains(local: Place | None, images: Images | None = None, mode: ExecutorName = ExecutorName.AUTO) -> Toolchains:
    return Toolchains(local, images, load_table(), None, mode)


OLD_HOST = place("this machine", (2, 36), (12, 2))
NEW_HOST = place("this machine", (2, 41), (12, 2), (16, 1))


def test_the_kernels_own_gcc_on_this_machine_comes_first() -> None:
    host = place("this machine", (2, 41), (12, 2), (14, 2))
    images = Images(debian13=place("image debian13", (2, 41), (14, 2)))
    (choice,) = toolchains(host, images).gcc(KERNEL, EVIDENCE, Needs())
    assert (choice.place, choice.compiler, choice.exact) == (host, host.gccs[1], True)
    assert images.asked == [], "an image was asked although this machine matches"


def test_the_kernels_own_gcc_in_an_image_is_better_than_a_newer_one_here() -> None:
    images = Images(debian13=place("image debian13", (2, 41), (14, 2)))
    (choice,) = toolchains(NEW_HOST, images).gcc(KERNEL, EVIDENCE, Needs())
    assert (choice.place.name, choice.exact) == ("image debian13", True)
    assert choice.why == "gcc-14 built the kernel, glibc 2.38 or newer, in image debian13"


def test_an_image_of_another_release_serves_where_it_has_the_very_gcc() -> None:
    images = Images(debian12=place("image debian12", (2, 36), (12, 2)), ubuntu=place("image ubuntu", (2, 40), (14, 1)))
    (choice,) = toolchains(None, images).gcc(KERNEL, EVIDENCE, Needs())
    assert (choice.place.name, choice.exact) == ("image ubuntu", True)


def test_without_it_the_nearest_newer_ones_follow_in_order_and_none_is_exact() -> None:
    images = Images(debiansid=place("image debiansid", (2, 43), (15, 2)))
    choices = toolchains(NEW_HOST, images).gcc(KERNEL, EVIDENCE, Needs())
    assert [(one.compiler.version if isinstance(one.compiler, Compiler) else None) for one in choices] == [
        (15, 2),
        (16, 1),
    ]
    assert not any(one.exact for one in choices)
    assert choices[0].why.startswith("gcc-14 built the kernel and is nowhere; the nearest newer gcc")


@pytest.mark.parametrize(
    ("images", "mode", "hint"),
    [
        pytest.param(
            None,
            ExecutorName.LOCAL,
            "Build in a container: kdriver images build debian13, then --executor auto.",
            id="must be local",
        ),
        pytest.param(
            None, ExecutorName.AUTO, "Start docker or podman, then: kdriver images build debian13", id="no engine"
        ),
        pytest.param(Images(), ExecutorName.AUTO, "Make its image: kdriver images build debian13", id="no image"),
    ],
)
def test_host_tools_that_need_a_newer_libc_say_so_and_what_to_do(
    images: Images | None, mode: ExecutorName, hint: str
) -> None:
    with pytest.raises(StepError) as caught:
        toolchains(OLD_HOST, images, mode).gcc(KERNEL, EVIDENCE, Needs())
    assert caught.value.message == (
        "C library: objtool.real-x86 of the kernel's headers needs glibc 2.38, this machine has 2.36"
    )
    assert (caught.value.failure, caught.value.hint, caught.value.exit_code) == (Failure.LIBC, hint, ExitCode.BUILD)


def test_a_machine_without_glibc_is_told_so() -> None:
    with pytest.raises(StepError, match=r"needs glibc 2\.38, this machine has no glibc"):
        toolchains(place("this machine", (0, 0), (14, 2))).gcc(KERNEL, EVIDENCE, Needs())


def test_a_library_of_the_host_tools_that_is_missing_is_named() -> None:
    host = place("this machine", (2, 41), (14, 2), libraries=("libz.so.1",))
    with pytest.raises(StepError, match=r"need libelf\.so\.1, which this machine does not have"):
        toolchains(host).gcc(KERNEL, EVIDENCE, Needs(libraries=("libelf.so.1",)))


@pytest.mark.parametrize("gccs", [pytest.param((), id="none"), pytest.param(((12, 2),), id="only older")])
def test_no_fitting_gcc_is_no_toolchain_and_never_an_older_one(gccs: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(StepError, match="toolchain: compiler gcc-14 is missing") as caught:
        toolchains(place("this machine", (2, 41), *gccs), None, ExecutorName.LOCAL).gcc(KERNEL, EVIDENCE, Needs())
    assert caught.value.hint == (
        "apt-get install gcc-14, or build in a container: kdriver images build debian13, then --executor auto."
    )
    assert caught.value.exit_code is ExitCode.BUILD


def test_gcc_plugins_load_into_the_very_gcc_only() -> None:
    needs = Needs(plugins=("CONFIG_GCC_PLUGIN_STACKLEAK",))
    host = place("this machine", (2, 41), (14, 1), (16, 1))
    with pytest.raises(
        StepError, match=r"there is none: gcc-14 itself, for its plugins \(CONFIG_GCC_PLUGIN_STACKLEAK\)"
    ):
        toolchains(host, Images()).gcc(KERNEL, EVIDENCE, needs)
    images = Images(debian13=place("image debian13", (2, 41), (14, 2)))
    (choice,) = toolchains(host, images).gcc(KERNEL, EVIDENCE, needs)
    assert choice.place.name == "image debian13"


def test_kernel_of_another_compiler_is_refused() -> None:
    evidence = Evidence("1.2.3-tiny", "clang version 16", (0, 0), True, (0, 0), "")
    with pytest.raises(
        StepError, match=r"the kernel was built with clang version 16; kdriver builds modules"
    ) as caught:
        toolchains(NEW_HOST).gcc(KERNEL, evidence, Needs())
    assert caught.value.hint == "Use --kind core for this kernel."
    assert caught.value.exit_code is ExitCode.BUILD


def llvm_place(name: str) -> Place:
    clang = Compiler(f"/usr/bin/{name}", (int(name.removeprefix("clang-")), 0), f"Tiny {name}")
    llvm = Llvm(clang, "/usr/bin/llc", "/usr/bin/llvm-strip", "/usr/lib/clang", "v2")
    return Place(f"image {name}", LocalExecutor(), (2, 36), (), (llvm,), frozenset(), "", "", "sha256:1")


def test_clang_comes_from_an_image_where_builds_must_run_in_containers() -> None:
    images = Images(**{"clang-16": llvm_place("clang-16"), "clang-19": llvm_place("clang-19")})
    choice = toolchains(None, images, ExecutorName.CONTAINER).llvm(KERNEL)
    assert (choice.place.name, choice.why) == (
        "image clang-16",
        "clang-16 is the first of the table, in image clang-16",
    )


def test_a_clang_that_a_verdict_refused_gives_way_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "clangs").mkdir()
    name = KERNEL.key.replace("/", "_")
    (tmp_path / "clangs" / f"{name}.json").write_text('{"clang-16": {"reason": "the kernel refused it"}}')
    images = Images(**{"clang-16": llvm_place("clang-16"), "clang-19": llvm_place("clang-19")})
    made = toolchains(None, images, ExecutorName.CONTAINER)
    made.cache = tmp_path
    choice = made.llvm(KERNEL)
    assert choice.place.name == "image clang-19"
    assert choice.why == "clang-19, because clang-16 was refused (the kernel refused it), in image clang-19"


def test_no_clang_anywhere_says_which_image_to_make() -> None:
    with pytest.raises(
        StepError, match="there is none: clang-16 or clang-19 is neither here nor in an image"
    ) as caught:
        toolchains(None, Images(), ExecutorName.CONTAINER).llvm(None)
    assert caught.value.hint == "Make its image: kdriver images build clang-16"
