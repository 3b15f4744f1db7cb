// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Entry point for XDP: wg_xdp, in front of wg_ingress on interfaces whose driver runs it. It shares all maps with it. */
#define WG_XDP

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "express.h"

char _license[] SEC("license") = "Dual BSD/GPL";

SEC("xdp.frags")
int wg_xdp(struct xdp_md *frame)
{
	return express(frame);
}
