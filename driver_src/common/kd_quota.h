/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Parameters of quotactl: its command says what the other arguments are. Any context; unreadable memory makes a parameter empty.
 *
 * struct if_dqblk and struct if_dqinfo are the kernel's user interface (linux/quota.h), the same for i386 calls.
 */
#ifndef KD_QUOTA_H
#define KD_QUOTA_H

/* The command without the type of quota in its low 8 bits. */
enum kd_quota_command {
	KD_Q_SYNC = 0x800001,
	KD_Q_QUOTAON = 0x800002,
	KD_Q_QUOTAOFF = 0x800003,
	KD_Q_GETFMT = 0x800004,
	KD_Q_GETINFO = 0x800005,
	KD_Q_SETINFO = 0x800006,
	KD_Q_GETQUOTA = 0x800007,
	KD_Q_SETQUOTA = 0x800008,
	KD_Q_XQUOTAON = 0x5801,
	KD_Q_XGETQUOTA = 0x5803,
	KD_Q_XSETQLIM = 0x5804,
	KD_Q_XQUOTASYNC = 0x5807,
};

static KD_INLINE u32 kd_quota_command(u64 cmd)
{
	return (u32)cmd >> 8;
}

static KD_INLINE u64 kd_val_quotactl_cmd(struct kd_fill *c, u64 cmd)
{
	(void)c;
	cmd = kd_quota_command(cmd);
	if (cmd >= KD_Q_XQUOTAON && cmd <= KD_Q_XQUOTASYNC) /* XQUOTAON, XQUOTAOFF, XGETQUOTA .. */
		return 256u << (cmd - KD_Q_XQUOTAON);
	if (cmd >= KD_Q_QUOTAON && cmd <= KD_Q_SETQUOTA)
		return cmd <= KD_Q_QUOTAOFF ? cmd - KD_Q_QUOTAON + 1 : 4u << (cmd - KD_Q_GETFMT);
	return cmd == KD_Q_SYNC ? 128 : 0;
}

/* USRQUOTA, GRPQUOTA. */
static KD_INLINE u64 kd_val_quotactl_type(struct kd_fill *c, u64 cmd)
{
	(void)c;
	return (u8)cmd == 0 ? 1 : (u8)cmd == 1 ? 2 : 0;
}

/* A user's or a group's number, for the commands that take one. */
static KD_INLINE u64 kd_val_quotactl_id(struct kd_fill *c, u64 cmd, u64 id)
{
	(void)c;
	cmd = kd_quota_command(cmd);
	if (cmd == KD_Q_GETQUOTA || cmd == KD_Q_SETQUOTA || cmd == KD_Q_XGETQUOTA || cmd == KD_Q_XSETQLIM)
		return (u32)id;
	return 0;
}

/* QFMT_VFS_OLD 1, QFMT_VFS_V0 2, QFMT_VFS_V1 4. */
static KD_INLINE u64 kd_quota_format(u64 format)
{
	return format == 1 ? 2 : format == 2 ? 4 : format == 4 ? 8 : 1;
}

static KD_INLINE u64 kd_val_quotactl_format(struct kd_fill *c, u64 cmd, u64 format)
{
	(void)c;
	return kd_quota_command(cmd) == KD_Q_QUOTAON ? kd_quota_format((u32)format) : 1;
}

static KD_INLINE int kd_cap_quota_path(struct kd_fill *c, u64 cmd, u64 address)
{
	return kd_quota_command(cmd) == KD_Q_QUOTAON ? kd_cap_user_str(c, address) : kd_push_empty(c);
}

/* A u64 of struct if_dqblk, whose last member says in bits which are valid; 0 where this one is not or the command has none. */
static KD_INLINE int kd_cap_quota_limit(struct kd_fill *c, u64 cmd, u64 address, u64 offset, u64 valid_bit, s64 ret)
{
	u64 value;
	u32 valid;

	cmd = kd_quota_command(cmd);
	if (cmd != KD_Q_SETQUOTA && (cmd != KD_Q_GETQUOTA || ret < 0))
		return kd_push_u64(c, 0);
	if (kd_read_user(&valid, address + 64, sizeof(valid)) || kd_read_user(&value, address + offset, sizeof(value)))
		return kd_push_empty(c);
	return kd_push_u64(c, valid & valid_bit ? value : 0);
}

/* A u64 of struct if_dqinfo { u64 block_grace, inode_grace; u32 flags, valid; } likewise. */
static KD_INLINE int kd_cap_quota_info(struct kd_fill *c, u64 cmd, u64 address, u64 offset, u64 valid_bit, s64 ret)
{
	u64 value;
	u32 valid;

	cmd = kd_quota_command(cmd);
	if (cmd != KD_Q_SETINFO && (cmd != KD_Q_GETINFO || ret < 0))
		return kd_push_u64(c, 0);
	if (kd_read_user(&valid, address + 20, sizeof(valid)) || kd_read_user(&value, address + offset, sizeof(value)))
		return kd_push_empty(c);
	return kd_push_u64(c, valid & valid_bit ? value : 0);
}

/* DQF_NONE, V1_DQF_RSQUASH. */
static KD_INLINE int kd_cap_quota_info_flags(struct kd_fill *c, u64 cmd, u64 address, s64 ret)
{
	u32 words[2]; /* flags, valid */

	cmd = kd_quota_command(cmd);
	if (cmd != KD_Q_SETINFO && (cmd != KD_Q_GETINFO || ret < 0))
		return kd_push_u8(c, 0);
	if (kd_read_user(words, address + 16, sizeof(words)))
		return kd_push_empty(c);
	return kd_push_u8(c, !(words[1] & 4) ? 0 : words[0] & 1 ? 2 : 1);
}

static KD_INLINE int kd_cap_quota_format_out(struct kd_fill *c, u64 cmd, u64 address, s64 ret)
{
	u32 format;

	if (kd_quota_command(cmd) != KD_Q_GETFMT || ret < 0)
		return kd_push_u8(c, 1);
	if (kd_read_user(&format, address, sizeof(format)))
		return kd_push_empty(c);
	return kd_push_u8(c, kd_quota_format(format));
}

#endif
