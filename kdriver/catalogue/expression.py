"""The capture language: `ret`, `arg0` to `arg5`, whole numbers, and calls of capture primitives.

    user_buf(arg1, write_len(ret, arg2))

A primitive yields a number (its C function is `kd_val_<name>`) or writes one whole parameter itself
(`kd_cap_<name>`). Only a parameter's outermost call may be of the second sort.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kdriver.catalogue.model import TYPE_SIZES, VARIABLE_TYPES

_TOKEN = re.compile(r"\s*(?:(?P<name>[a-z_][a-z0-9_]*)|(?P<number>\d+)|(?P<sign>[(),]))")
_ARGUMENT = re.compile(r"arg[0-5]")


@dataclass(frozen=True, slots=True)
class Primitive:
    """What a capture primitive takes and costs.

    arity: number of arguments. writes: whether it writes a whole parameter itself (of variable length, or one that
    can be unreadable); else it yields a number. types: the parameter types that a writing one serves, empty for any
    of variable length. cost: eBPF instructions that one use takes at most, roughly; the renderer cuts programs by it.
    """

    arity: int
    writes: bool = False
    cost: int = 30
    types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression: a name with arguments, or a number (then `name` is its digits)."""

    name: str
    arguments: tuple[Expression, ...] = ()
    is_call: bool = False

    @property
    def is_number(self) -> bool:
        """Whether it is a constant."""
        return self.name.isdigit()


PRIMITIVES: dict[str, Primitive] = {
    # arguments and results as numbers
    "fd": Primitive(1, cost=4),
    "s32": Primitive(1, cost=4),
    "u32": Primitive(1, cost=4),
    "u8": Primitive(1, cost=4),
    "pos": Primitive(2, cost=8),
    "open_flags": Primitive(2, cost=250),
    "open_asked": Primitive(1, cost=120),
    "open_mode": Primitive(2, cost=60),
    "unlinkat_flags": Primitive(1, cost=10),
    "chmod_mode": Primitive(1, cost=10),
    "mount_flags": Primitive(1, cost=10),
    "dup3_flags": Primitive(1, cost=10),
    "pipe2_flags": Primitive(1, cost=20),
    "fcntl_cmd": Primitive(1, cost=120),
    "socket_family": Primitive(1, cost=10),
    "socket_type": Primitive(1, cost=4),
    "socket_flags": Primitive(1, cost=20),
    "sockopt_level": Primitive(1, cost=20),
    "sockopt_name": Primitive(2, cost=220),
    "shutdown_how": Primitive(1, cost=10),
    "clone_flags": Primitive(1, cost=150),
    "mmap_prot": Primitive(1, cost=30),
    "mmap_flags": Primitive(1, cost=80),
    "futex_op": Primitive(1, cost=10),
    "prctl_option": Primitive(1, cost=10),
    "ptrace_request": Primitive(1, cost=150),
    "read_len": Primitive(2, cost=10),
    "write_len": Primitive(2, cost=8),
    "moved": Primitive(1, cost=8),
    "pipe_fd": Primitive(3, cost=40),
    "pipe_ino": Primitive(2, cost=140),
    "iov_write_len": Primitive(1, cost=8),
    "mask": Primitive(2, cost=4),
    "u16": Primitive(1, cost=4),
    "fchownat_flags": Primitive(1, cost=20),
    "lseek_whence": Primitive(1, cost=10),
    "mknod_mode": Primitive(1, cost=30),
    "epoll_create1_flags": Primitive(1, cost=10),
    "pidfd_open_flags": Primitive(1, cost=10),
    "delete_module_flags": Primitive(1, cost=20),
    "ns_flags": Primitive(1, cost=130),
    "rlimit_resource": Primitive(1, cost=10),
    "semget_flags": Primitive(1, cost=20),
    "semctl_cmd": Primitive(1, cost=80),
    "semctl_val": Primitive(2, cost=20),
    "quotactl_cmd": Primitive(1, cost=90),
    "quotactl_type": Primitive(1, cost=10),
    "quotactl_id": Primitive(2, cost=30),
    "quotactl_format": Primitive(2, cost=30),
    "mmsg_len": Primitive(2, cost=50),
    # the file behind a descriptor
    "pair_source": Primitive(2, cost=220),
    "pair_peer": Primitive(2, cost=220),
    "fd_dev": Primitive(1, cost=120),
    "fd_ino": Primitive(1, cost=100),
    "accept_queue_pct": Primitive(2, cost=160),
    "accept_queue_len": Primitive(2, cost=140),
    "accept_queue_max": Primitive(2, cost=140),
    # the current task
    "task_tid": Primitive(0, cost=20),
    "task_pid": Primitive(0, cost=20),
    "task_ptid": Primitive(0, cost=40),
    "task_vtid": Primitive(0, cost=60),
    "task_vpid": Primitive(0, cost=60),
    "task_pgid": Primitive(0, cost=60),
    "task_vpgid": Primitive(0, cost=90),
    "task_fdlimit": Primitive(0, cost=40),
    "task_pgft_maj": Primitive(0, cost=20),
    "task_pgft_min": Primitive(0, cost=20),
    "task_vm_size": Primitive(0, cost=40),
    "task_vm_rss": Primitive(0, cost=120),
    "task_vm_swap": Primitive(0, cost=60),
    "task_tty": Primitive(0, cost=100),
    "task_loginuid": Primitive(0, cost=30),
    "task_euid": Primitive(0, cost=40),
    "task_egid": Primitive(0, cost=40),
    "cap_inheritable": Primitive(0, cost=40),
    "cap_permitted": Primitive(0, cost=40),
    "cap_effective": Primitive(0, cost=40),
    "exe_flags": Primitive(0, cost=350),
    "exe_ino": Primitive(0, cost=60),
    "exe_ctime": Primitive(0, cost=80),
    "exe_mtime": Primitive(0, cost=80),
    "pidns_start": Primitive(1, cost=90),
    "clone_ns_flags": Primitive(0, cost=60),
    "exit_status": Primitive(0, cost=20),
    "exit_ret": Primitive(0, cost=20),
    "exit_sig": Primitive(0, cost=20),
    "exit_core": Primitive(0, cost=20),
    "exit_reaper": Primitive(0, cost=600),
    "switch_next": Primitive(0, cost=30),
    "page_fault_error": Primitive(1, cost=40),
    "call_code": Primitive(0, cost=60),
    "call_native": Primitive(0, cost=60),
    # whole parameters
    "user_str": Primitive(1, writes=True, cost=50),
    "user_buf": Primitive(2, writes=True, cost=60),
    "iov_buf": Primitive(3, writes=True, cost=1300),
    "fd_buf": Primitive(4, writes=True, cost=500),
    "fd_iov_buf": Primitive(4, writes=True, cost=1800),
    "fd_msg_buf": Primitive(3, writes=True, cost=1900),
    "msg_control": Primitive(2, writes=True, cost=110),
    "poll_fds": Primitive(2, writes=True, cost=1300),
    "sockaddr": Primitive(2, writes=True, cost=350),
    "sock_tuple": Primitive(1, writes=True, cost=600),
    "hook_sock_tuple": Primitive(0, writes=True, cost=600),
    "connect_tuple": Primitive(4, writes=True, cost=900),
    "send_tuple": Primitive(4, writes=True, cost=900),
    "recv_tuple": Primitive(3, writes=True, cost=900),
    "msg_send_tuple": Primitive(3, writes=True, cost=950),
    "msg_recv_tuple": Primitive(3, writes=True, cost=950),
    "sockopt_got": Primitive(5, writes=True, cost=350),
    "sockopt_set": Primitive(4, writes=True, cost=350),
    "got_str": Primitive(2, writes=True, cost=60),
    "quota_path": Primitive(2, writes=True, cost=70),
    "keyctl_arg": Primitive(3, writes=True, cost=160),
    "fd_path": Primitive(1, writes=True, cost=2500),
    "fsconfig_bytes": Primitive(3, writes=True, cost=80),
    "fsconfig_str": Primitive(2, writes=True, cost=70),
    "prctl_str": Primitive(2, writes=True, cost=60),
    "ptrace_addr": Primitive(2, writes=True, cost=90),
    "ptrace_data": Primitive(3, writes=True, cost=120),
    "task_exe": Primitive(1, writes=True, cost=120),
    "task_args": Primitive(1, writes=True, cost=180),
    "task_comm": Primitive(0, writes=True, cost=40),
    "task_cwd": Primitive(0, writes=True, cost=2400),
    "task_cgroups": Primitive(0, writes=True, cost=3200),
    "exe_path": Primitive(0, writes=True, cost=2400),
    "exec_exe": Primitive(1, writes=True, cost=180),
    "exec_args": Primitive(1, writes=True, cost=1500),
    "exec_env": Primitive(1, writes=True, cost=1500),
    "exec_filename": Primitive(1, writes=True, cost=120),
    # numbers in user memory: they can be unreadable, so they write the parameter themselves
    "user_u32": Primitive(1, writes=True, cost=50, types=("uint32", "uid", "gid", "sigset")),
    "user_u32_at": Primitive(2, writes=True, cost=50, types=("uint32",)),
    "user_u64_at": Primitive(2, writes=True, cost=50, types=("uint64", "int64")),
    "got_u64_at": Primitive(3, writes=True, cost=60, types=("int64",)),
    "user_rlimit": Primitive(2, writes=True, cost=70, types=("int64",)),
    "got_rlimit": Primitive(3, writes=True, cost=80, types=("int64",)),
    "quota_limit": Primitive(5, writes=True, cost=120, types=("uint64", "reltime")),
    "quota_info": Primitive(5, writes=True, cost=120, types=("reltime",)),
    "quota_info_flags": Primitive(3, writes=True, cost=90, types=("flags8",)),
    "quota_format_out": Primitive(3, writes=True, cost=90, types=("flags8",)),
    "sendfile_offset": Primitive(1, writes=True, cost=90, types=("uint64",)),
    "openat2_flags": Primitive(2, writes=True, cost=300, types=("flags32",)),
    "openat2_asked": Primitive(1, writes=True, cost=200, types=("flags32",)),
    "signal_source": Primitive(2, writes=True, cost=80, types=("pid",)),
    "openat2_mode": Primitive(1, writes=True, cost=90, types=("uint32",)),
    "openat2_resolve": Primitive(1, writes=True, cost=90, types=("flags32",)),
    "sembuf_num": Primitive(3, writes=True, cost=60, types=("uint16",)),
    "sembuf_op": Primitive(3, writes=True, cost=60, types=("int16",)),
    "sembuf_flg": Primitive(3, writes=True, cost=80, types=("flags16",)),
    "io_uring_setup_flags": Primitive(1, writes=True, cost=90, types=("flags32",)),
    "io_uring_features": Primitive(1, writes=True, cost=60, types=("flags32",)),
    "io_uring_sigset": Primitive(2, writes=True, cost=60, types=("sigset",)),
    "user_timespec": Primitive(1, writes=True, cost=70, types=("reltime",)),
    "iov_size": Primitive(2, writes=True, cost=600, types=("uint32",)),
    "msg_size": Primitive(1, writes=True, cost=700, types=("uint32",)),
    "clone3_flags": Primitive(1, writes=True, cost=250, types=("flags32",)),
    "prctl_int": Primitive(2, writes=True, cost=60, types=("int64",)),
}


def parse_expression(text: str) -> Expression:
    """Parse and check one expression. Raises ValueError that says what is wrong with it."""
    tokens = _tokens(text)
    expression, rest = _parse(tokens)
    if rest:
        raise ValueError(f"{text!r}: {rest[0]!r} is left over after the expression")
    _check(expression, outermost=True)
    return expression


def _tokens(text: str) -> list[str]:
    tokens = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"{text!r}: {text[position]!r} is not part of the capture language")
        tokens.append(match.group().strip())
        position = match.end()
    return tokens


def _parse(tokens: list[str]) -> tuple[Expression, list[str]]:
    if not tokens or tokens[0] in "(),":
        raise ValueError("an expression is missing")
    name, rest = tokens[0], tokens[1:]
    if not rest or rest[0] != "(":
        return Expression(name), rest
    rest = rest[1:]
    arguments: list[Expression] = []
    while rest and rest[0] != ")":
        argument, rest = _parse(rest)
        arguments.append(argument)
        if rest and rest[0] == ",":
            rest = rest[1:]
    if not rest:
        raise ValueError(f"{name}: the closing bracket is missing")
    return Expression(name, tuple(arguments), is_call=True), rest[1:]


def _check(expression: Expression, *, outermost: bool) -> None:
    if expression.is_number or expression.name == "ret" or _ARGUMENT.fullmatch(expression.name):
        if expression.is_call:
            raise ValueError(f"{expression.name} takes no arguments")
        return
    primitive = PRIMITIVES.get(expression.name)
    if primitive is None:
        raise ValueError(f"{expression.name} is no capture primitive")
    if len(expression.arguments) != primitive.arity:
        raise ValueError(f"{expression.name} takes {primitive.arity} arguments, not {len(expression.arguments)}")
    if primitive.writes and not outermost:
        raise ValueError(f"{expression.name} writes a whole parameter and cannot be an argument")
    for argument in expression.arguments:
        _check(argument, outermost=False)


def writes(expression: Expression) -> bool:
    """Whether the expression writes a whole parameter itself."""
    primitive = PRIMITIVES.get(expression.name)
    return primitive is not None and primitive.writes


def serves(expression: Expression, param_type: str) -> bool:
    """Whether the expression can be the capture of a parameter of that type."""
    primitive = PRIMITIVES.get(expression.name)
    if primitive is None or not primitive.writes:
        return param_type in TYPE_SIZES
    return param_type in (primitive.types or VARIABLE_TYPES)


def cost(expression: Expression) -> int:
    """eBPF instructions of the expression, roughly and at most."""
    primitive = PRIMITIVES.get(expression.name)
    own = primitive.cost if primitive else 2
    return own + sum(cost(argument) for argument in expression.arguments)


def to_c(expression: Expression) -> str:
    """The C expression; `c` is the block being filled."""
    if expression.is_number:
        return expression.name
    if expression.name == "ret":
        return "kd_ret(c)"
    if _ARGUMENT.fullmatch(expression.name):
        return f"kd_arg(c, {expression.name[3:]})"
    prefix = "kd_cap_" if writes(expression) else "kd_val_"
    return f"{prefix}{expression.name}({', '.join(['c', *(to_c(argument) for argument in expression.arguments)])})"
