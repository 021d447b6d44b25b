/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Values of socket options: u8 kind, then the value as its option has it. */
#ifndef KD_SOCKOPT_H
#define KD_SOCKOPT_H

#define KD_DYN_BYTES 0
#define KD_DYN_ERRNO 1
#define KD_DYN_U32 2
#define KD_DYN_U64 3
#define KD_DYN_TIME 4

/* Options of SOL_SOCKET whose value is one int: 1-3 5-12 14-16 18 19 22-24 27 29 30 32-49. */
#define KD_INT_OPTIONS 0x0003ffff69cddfeeULL

static KD_INLINE int kd_put_sockopt_time(struct kd_fill *c, u64 name, u64 address)
{
	s64 wide[2] = {0}; /* some compilers lose track of a copy in two halves */
	s32 narrow[2];
	int err = kd_put_u8(c, KD_DYN_TIME);

	if (err)
		return err;
	if (kd_is_compat(c) && name < 60) {
		if (kd_read_user(narrow, address, sizeof(narrow)))
			return -EFAULT;
		wide[0] = narrow[0];
		wide[1] = narrow[1];
	} else if (kd_read_user(wide, address, sizeof(wide))) {
		return -EFAULT;
	}
	return kd_put_u64(c, wide[0] * 1000000000LL + wide[1] * 1000);
}

static KD_INLINE int kd_put_sockopt(struct kd_fill *c, u64 level, u64 name, u64 address, s64 len)
{
	u64 cookie;
	s32 error;
	int err;

	name = (u32)name;
	if ((u32)level != KD_SOL_SOCKET)
		name = 0;
	if (name == 20 || name == 21 || name == 66 || name == 67) /* SO_RCVTIMEO, SO_SNDTIMEO, old and new */
		return kd_put_sockopt_time(c, name, address);
	if (name == 4) { /* SO_ERROR */
		if (kd_read_user(&error, address, sizeof(error)))
			return -EFAULT;
		err = kd_put_u8(c, KD_DYN_ERRNO);
		return err ? err : kd_put_u64(c, -(s64)error);
	}
	if (name == 57) { /* SO_COOKIE */
		if (kd_read_user(&cookie, address, sizeof(cookie)))
			return -EFAULT;
		err = kd_put_u8(c, KD_DYN_U64);
		return err ? err : kd_put_u64(c, cookie);
	}
	if (name < 50 && (KD_INT_OPTIONS >> name & 1)) {
		err = kd_put_u8(c, KD_DYN_U32);
		return err ? err : kd_put_user(c, address, 4);
	}
	if (len <= 0)
		return -EFAULT;
	err = kd_put_u8(c, KD_DYN_BYTES);
	return err ? err : kd_put_user(c, address, kd_min(len, kd_plain_snaplen(c)));
}

static KD_INLINE int kd_cap_sockopt_set(struct kd_fill *c, u64 level, u64 name, u64 address, u64 len)
{
	kd_param_begin(c);
	return kd_finish(c, kd_put_sockopt(c, level, name, address, (s32)len));
}

static KD_INLINE int kd_cap_sockopt_got(struct kd_fill *c, u64 level, u64 name, u64 address, u64 len_address, s64 ret)
{
	s32 len = 0;

	if (ret < 0 || kd_read_user(&len, len_address, sizeof(len)))
		return kd_push_empty(c);
	kd_param_begin(c);
	return kd_finish(c, kd_put_sockopt(c, level, name, address, len));
}

#endif
