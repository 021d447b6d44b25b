/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The program's entry. Started with a first argument that begins with "imag" it is a new image of the exec cases: it
 * makes exactly three calls, write(1, "r", 1), read(0, ., 1) and exit_group(last character of that argument), and no
 * library starts, so that its events can be foretold. Else the C library's entry runs.
 */
	.text
	.globl kd_entry
	.type kd_entry, @function
kd_entry:
	mov 8(%rsp), %rbx
	test %rbx, %rbx
	jz 3f
	cmpl $0x67616d69, (%rbx)
	jne 3f
1:	cmpb $0, 1(%rbx)
	je 2f
	inc %rbx
	jmp 1b
2:	movzbl (%rbx), %ebx
	sub $'0', %ebx
	movb $'r', -64(%rsp)
	mov $1, %eax
	mov $1, %edi
	lea -64(%rsp), %rsi
	mov $1, %edx
	syscall
	xor %eax, %eax
	xor %edi, %edi
	lea -64(%rsp), %rsi
	mov $1, %edx
	syscall
	mov $231, %eax
	mov %ebx, %edi
	syscall
	hlt
3:	jmp _start
	.size kd_entry, .-kd_entry
	.section .note.GNU-stack, "", @progbits
