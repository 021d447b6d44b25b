"""Which capture primitives follow a pointer of the calling program, and how far: what a case must try them with."""

from __future__ import annotations

from dataclasses import dataclass

from kdriver.catalogue.expression import parse_expression


@dataclass(frozen=True, slots=True)
class Pointer:
    """argument: which of the primitive's arguments is the pointer. bounded: whether what it points to may be longer
    than what is shown of it (a string, bytes, a vector); else it is a structure of a fixed size."""

    argument: int = 0
    bounded: bool = False


_LONG = Pointer(0, bounded=True)
POINTERS: dict[str, Pointer] = {
    "user_str": _LONG,
    "user_buf": _LONG,
    "got_str": _LONG,
    "iov_buf": _LONG,
    "iov_size": _LONG,
    "fd_buf": Pointer(2, bounded=True),
    "fd_iov_buf": Pointer(1, bounded=True),
    "fd_msg_buf": Pointer(1, bounded=True),
    "msg_size": _LONG,
    "msg_control": _LONG,
    "poll_fds": _LONG,
    "exec_exe": _LONG,
    "exec_args": _LONG,
    "exec_env": _LONG,
    "exec_filename": _LONG,
    "prctl_str": Pointer(1, bounded=True),
    "quota_path": Pointer(1, bounded=True),
    "fsconfig_bytes": Pointer(1, bounded=True),
    "fsconfig_str": Pointer(1, bounded=True),
    "keyctl_arg": Pointer(2, bounded=True),
    "sockopt_got": Pointer(2, bounded=True),
    "sockopt_set": Pointer(2, bounded=True),
    "sockaddr": Pointer(),
    "connect_tuple": Pointer(1),
    "send_tuple": Pointer(1),
    "recv_tuple": Pointer(1),
    "msg_send_tuple": Pointer(1),
    "msg_recv_tuple": Pointer(1),
    "pipe_fd": Pointer(),
    "pipe_ino": Pointer(),
    "pair_source": Pointer(),
    "pair_peer": Pointer(),
    "mmsg_len": Pointer(),
    "user_u32": Pointer(),
    "user_u32_at": Pointer(),
    "user_u64_at": Pointer(),
    "got_u64_at": Pointer(),
    "user_rlimit": Pointer(),
    "got_rlimit": Pointer(),
    "user_timespec": Pointer(),
    "quota_limit": Pointer(1),
    "quota_info": Pointer(1),
    "quota_info_flags": Pointer(1),
    "quota_format_out": Pointer(1),
    "sendfile_offset": Pointer(),
    "openat2_flags": Pointer(),
    "openat2_asked": Pointer(),
    "openat2_mode": Pointer(),
    "openat2_resolve": Pointer(),
    "sembuf_num": Pointer(),
    "sembuf_op": Pointer(),
    "sembuf_flg": Pointer(),
    "io_uring_setup_flags": Pointer(),
    "io_uring_features": Pointer(),
    "io_uring_sigset": Pointer(1),
    "clone3_flags": Pointer(),
    "prctl_int": Pointer(1),
    "ptrace_data": Pointer(1),
}
NO_POINTERS = frozenset(
    {
        *("hook_sock_tuple", "sock_tuple", "fd_path", "ptrace_addr", "task_exe", "task_args", "task_comm"),
        *("task_cwd", "task_cgroups", "exe_path", "signal_source"),
    }
)
"""Primitives that write a whole parameter and follow no pointer that the call was given."""


def pointer_of(capture: str) -> tuple[Pointer, int] | None:
    """The pointer that a parameter's capture follows, and which of the call's arguments it is; None without one."""
    expression = parse_expression(capture)
    pointer = POINTERS.get(expression.name)
    if pointer is None:
        return None
    argument = expression.arguments[pointer.argument].name
    return (pointer, int(argument.removeprefix("arg"))) if argument.startswith("arg") else None
