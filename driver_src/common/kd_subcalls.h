/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * i386's two calls that stand for many: socketcall and ipc. A sub-call is captured as the call that it is, with the arguments of that
 * call. Any context; what is read of the caller's memory does not fault.
 *
 * A sub-call has the number of the same call of i386 (most got one in 4.3 and 5.1), or one of ours where i386 has none: those begin at
 * KD_NR_I386_OURS, where the kernel has no calls, and stand in calls.toml as well. kd_native_calls.h says what they are on x86_64.
 */
#ifndef KD_SUBCALLS_H
#define KD_SUBCALLS_H

#define KD_NR_I386_OURS 500 /* socketcall and ipc themselves: kd_shared.h */
#define KD_NR_I386_ACCEPT 500
#define KD_NR_I386_SEND 501
#define KD_NR_I386_RECV 502
#define KD_NR_I386_SEMOP 503
#define KD_NR_I386_SEMTIMEDOP 504
#define KD_NR_I386_SEMGET 393
#define KD_NR_I386_SEMCTL 394

#define KD_SOCKETCALL_ARGS 6

static KD_INLINE int kd_is_multiplexed(u32 call)
{
	return call == KD_NR_I386_SOCKETCALL || call == KD_NR_I386_IPC;
}

/* The sub-call's number by SYS_* of linux/net.h; 0: there is no such sub-call. */
static KD_INLINE u32 kd_socketcall_number(u32 sub)
{
	switch (sub) {
	case 1:
		return 359; /* socket */
	case 2:
		return 361; /* bind */
	case 3:
		return 362; /* connect */
	case 4:
		return 363; /* listen */
	case 5:
		return KD_NR_I386_ACCEPT;
	case 6:
		return 367; /* getsockname */
	case 7:
		return 368; /* getpeername */
	case 8:
		return 360; /* socketpair */
	case 9:
		return KD_NR_I386_SEND;
	case 10:
		return KD_NR_I386_RECV;
	case 11:
		return 369; /* sendto */
	case 12:
		return 371; /* recvfrom */
	case 13:
		return 373; /* shutdown */
	case 14:
		return 366; /* setsockopt */
	case 15:
		return 365; /* getsockopt */
	case 16:
		return 370; /* sendmsg */
	case 17:
		return 372; /* recvmsg */
	case 18:
		return 364; /* accept4 */
	case 19:
		return 337; /* recvmmsg */
	case 20:
		return 345; /* sendmmsg */
	default:
		return 0;
	}
}

/* How many arguments it has, a hexadecimal digit for each sub-call from 0 on. */
static KD_INLINE u32 kd_socketcall_count(u32 sub)
{
	u64 counts = sub < 16 ? 0x5526644433323330ULL : 0x45433ULL;

	return counts >> 4 * (sub & 15) & 15;
}

/* The same by the operations of linux/ipc.h; the upper half of the operation is a version. */
static KD_INLINE u32 kd_ipc_number(u32 operation)
{
	switch (operation & 0xffff) {
	case 1:
		return KD_NR_I386_SEMOP;
	case 2:
		return KD_NR_I386_SEMGET;
	case 3:
		return KD_NR_I386_SEMCTL;
	case 4:
		return KD_NR_I386_SEMTIMEDOP;
	case 11:
		return 400; /* msgsnd */
	case 12:
		return 401; /* msgrcv */
	case 13:
		return 399; /* msgget */
	case 14:
		return 402; /* msgctl */
	case 21:
		return 397; /* shmat */
	case 22:
		return 398; /* shmdt */
	case 23:
		return 395; /* shmget */
	case 24:
		return 396; /* shmctl */
	default:
		return 0;
	}
}

/* Of a multiplexed call, by its first argument: the number of the call that is meant, or 0. */
static KD_INLINE u32 kd_subcall_number(u32 call, u32 first)
{
	return call == KD_NR_I386_IPC ? kd_ipc_number(first) : kd_socketcall_number(first);
}

static KD_INLINE int kd_read_subcall_word(u64 address, u64 *out)
{
	u32 word;

	if (kd_read_user(&word, address, sizeof(word)))
		return -EFAULT;
	*out = word;
	return 0;
}

/* Only the calls on semaphores have events with parameters. */
static KD_INLINE int kd_unpack_ipc(const u64 *given, u64 *args)
{
	u32 operation = given[0] & 0xffff;

	args[0] = given[1];
	if (operation == 1) { /* semop */
		args[1] = given[4];
		args[2] = given[2];
		return 0;
	}
	args[1] = given[2];
	args[2] = given[3];
	/* semctl: its last argument lies behind the pointer. */
	return operation == 3 ? kd_read_subcall_word(given[4], &args[3]) : 0;
}

/*
 * The arguments of the sub-call out of those of the multiplexed call, all six of each. -EFAULT: they cannot be read, so nothing is known
 * of the sub-call but which it is and what it returned.
 */
static KD_INLINE int kd_unpack_subcall(u32 call, const u64 *given, u64 *args)
{
	u32 count, i;

	if (call == KD_NR_I386_IPC)
		return kd_unpack_ipc(given, args);
	count = kd_socketcall_count(given[0]);
	KD_UNROLL
	for (i = 0; i < KD_SOCKETCALL_ARGS; i++)
		if (i < count && kd_read_subcall_word(given[1] + 4 * i, &args[i]))
			return -EFAULT;
	return 0;
}

#endif
