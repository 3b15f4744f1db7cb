/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The dry run: `waggle trace` loads the object a second time, on the same maps, with wg_dry_run set, and runs it on a SYN
 * of its own making. Such a program says what would happen and changes nothing: no cursor, gauge, port, counter or flow. In
 * the program that serves, the constant is 0, and the verifier takes out all that depends on it. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "types.h"

const volatile __u32 wg_dry_run = 0;

/* What a dry run answers, in the context's cb. */
enum wg_dry {
	WG_DRY_REASON = 0, /* enum wg_reason */
	WG_DRY_OUTCOME = 1, /* enum wg_outcome */
	WG_DRY_SERVICE = 2,
	WG_DRY_SERVER = 3,
};

enum wg_outcome {
	WG_OUTCOME_NOT_OURS = 0, /* no service has this address and port */
	WG_OUTCOME_FLOW = 1, /* the connection is in the table already */
	WG_OUTCOME_TAKEN = 2,
	WG_OUTCOME_LEFT = 3, /* to the socket, for the reason */
};

/* The next number of a counter that connections take in turn. */
static __always_inline __u64 next_turn(__u64 *turns)
{
	return wg_dry_run ? *turns : __sync_fetch_and_add(turns, 1);
}
