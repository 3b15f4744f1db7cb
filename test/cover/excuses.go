package main

import (
	"fmt"
	"slices"
	"strings"
)

// excuse says why an outcome cannot be brought about by tests at will.
type excuse struct {
	file, function, text, result string
	reason                       string
}

const (
	anArgument = "the verifier takes a pointer that a global function is given for one that may be null; none is"
	anElement  = "the verifier takes each look-up in an array for one that may fail; the index is in bounds, so none does"
	aBound     = "the verifier wants it asked once more; so many bytes were read or pulled before"
	aRefusal   = "the kernel changes all bytes that the program has read"
	anotherCPU = "another CPU has to do something at the same instant"
	noMemory   = "the kernel has to lack memory at that instant"
)

// excuses are all that there are. One that is for nothing fails a whole run.
var excuses = slices.Concat(
	because("false", anArgument,
		"choose.h choose_server: choice",
		"claim.h mss_for: f", "claim.h flow_insert: p | svc | choice | server", "claim.h claim: p",
		"collect.h collect_one: d", "events.h event_close: fwd | rev",
		"flow.h flow_recycle: p", "flow.h flow_promote: f | p", "flow.h flow_end: f | p", "flow.h flow_remember: f | p",
		"parse.h parse_jumbo: p", "port.h port_reopen: p", "port.h source_write: server", "port.h port_try: server",
		"retry.h refusal_is_ours: f | p", "retry.h unreachable_is_ours: f", "retry.h flow_move: choice | p | svc | attempt", "retry.h flow_abandon: p | f | rev",
		"retry.h retry: p", "way.h way_find: f", "way.h way_ask: f"),
	because("false", anElement,
		"choose.h slot_at: two", "choose.h slot_weight: four", "choose.h slot_touch: target",
		"choose.h choose_slot: target", "choose.h choose_from: slot", "choose.h slot_load: at | g", "choose.h scan_on: slot | two",
		"choose.h choose_scan: slot", "choose.h choose_random: slot", "choose.h choose_source: slot", "choose.h choose_server: g",
		"claim.h mss_for: settings", "claim.h flow_insert: f | back", "claim.h claim_with_server: server", "claim.h claim: settings", "collect.h collect: d",
		"count.h count_reason: n", "count.h count_packet: c", "count.h count_connection: c", "count.h count_retry: c", "count.h count_session: c",
		"count.h count_end: c", "count.h gauge_enter_limited: g", "count.h gauge_enter: at", "count.h gauge_leave: at", "count.h gauge_awaited: g",
		"count.h gauge_add: g | at", "events.h established_now: g", "events.h event_lost: lost", "icmp.h icmp_forward: q", "look.h look: lives",
		"parse.h port_is_ours: bits", "port.h port_wrest: key", "port.h port_reopen: draft | key", "port.h source_write: key",
		"port.h port_try: reverse | key | settings", "retry.h flow_move: draft | back | server", "retry.h retry: key", "ring.h ring_generation: begun",
		"ring.h ring_enter: slot", "way.h way_of: way", "way.h way_send_first: target | from"),
	because("true", aBound,
		"express.h frame_is_ours: (void *)(mac + 3) > frame_end(frame)", "express.h express_send: (void *)(eth + 1) > frame_end(frame)",
		"frame.h frame_protocol: (void *)(eth + 1) > frame_end(frame)",
		"icmp.h quote_v4: data + tcp_off + WG_QUOTED_TCP > end", "icmp.h quote_v6: data + tcp_off + WG_QUOTED_TCP > end",
		"mss.h mss_clamp: bpf_skb_load_bytes(skb, off + 2, &old, sizeof(old))", "nat.h nat_write_v4: (void *)(ports + 1) > frame_end(frame)",
		"nat.h nat_write_v6: (void *)(ports + 1) > frame_end(frame)", "nat.h nat_rewrite: (void *)(tcp + 1) > frame_end(frame)",
		"option.h tcp_option: frame_load(frame, off, head, sizeof(head))", "option.h tcp_stamp: frame_load(frame, off + 2, &value, sizeof(value))",
		"parse.h parse_v4: data + need > end", "parse.h parse_v6: data + need > end", "parse.h parse_jumbo: frame_data(frame) + need > frame_end(frame)",
		"way.h way_write: (void *)(eth + 1) > (void *)(long)skb->data_end"),
	because("false", aBound, "partial.h checksum_is_partial: (void *)(tcp + 1) <= frame_end(frame)"),
	because("true", aRefusal,
		"express.h express_send: nat_rewrite(frame, p, f)", "forward.h forward: mss_clamp(skb, p->tcp, p->tcp_len, f->mss) | nat_rewrite(skb, p, f)",
		"icmp.h icmp_forward: icmp_quoted(skb, q, f, &change) | icmp_outer(skb, q, f, change)",
		"mss.h mss_clamp: bpf_skb_store_bytes(skb, off + 2, &new, sizeof(new), 0)", "nat.h nat_rewrite: err"),
	because("false", anotherCPU,
		"choose.h scan_on: schedule_find(&s, service)", // the schedule is swapped between two steps
		"collect.h collect_pair: flow_shift(f, flow_tag(d->generation), state, WG_DEAD)", "collect.h collect_orphan: flow_shift(f, flow_tag(d->generation), 0, WG_DEAD)",
		"count.h gauge_enter_limited: i < WG_PLACE_TRIES", // it wins 32 times in a row
		"flow.h flow_hold: f", "flow.h flow_recycle: f | flow_shift(f, tag, WG_CLOSED, WG_DEAD)", "flow.h flow_promote: flow_shift(f, tag, WG_HALF, WG_ESTABLISHED)",
		"flow.h flow_refused: flow_shift(fwd, tag, WG_HALF, WG_CLOSED)", "flow.h flow_advance: i < WG_ADVANCE_TRIES", "lb.bpf.c on_miss: f", "lb.bpf.c on_event: f", "port.h port_reopen: rev",
		"retry.h flow_move: f | rev | flow_shift(f, attempt->tag, WG_HALF, WG_DEAD)", "retry.h flow_abandon: flow_shift(f, tag, WG_HALF, WG_DEAD)", "retry.h retry: f"),
	because("true", anotherCPU,
		"retry.h flow_move: f->dir != WG_FORWARD | rev->generation != f->generation | __sync_val_compare_and_swap(&f->retries, attempt->left, 0) != attempt->left", "retry.h retry: f->dir != WG_FORWARD | reason == WG_R_RACE",
		"retry.h retry: __sync_val_compare_and_swap(&f->retries, left, left - 1) != left"),
	because("true", noMemory,
		"port.h port_reopen: bpf_map_update_elem(&wg_flows, key, draft, BPF_EXIST)", "retry.h flow_move: bpf_map_update_elem(&wg_flows, back, draft, BPF_EXIST)"),
	because("false", "only kernels before 6.16 refuse the flag; that of make test-kernel does", "checksum.h csum_replace_pseudo_v6: err != -EINVAL"),
	because("false", "pkg/datapath demands that at least one server is drawn", "choose.h choose_random: i"),
	because("false", "the kernel shows key and value of an element, or neither", "look.h look: f"),
	because("true", "source_write only fails for arguments that are null", "port.h port_try: reason"),
)

// because makes an excuse for each condition, written as file function: condition | condition.
func because(result, reason string, where ...string) (all []excuse) {
	for _, w := range where {
		var file, function string
		place, texts, _ := strings.Cut(w, ": ")
		if _, err := fmt.Sscan(place, &file, &function); err != nil {
			panic(err) // a mistake in the table above
		}
		for text := range strings.SplitSeq(texts, " | ") {
			all = append(all, excuse{file, function, text, result, reason})
		}
	}
	return all
}

// excuseOf is the excuse for an outcome, or nil.
func excuseOf(o outcome) *excuse {
	i := slices.IndexFunc(excuses, func(e excuse) bool { return e.isOf(o) })
	if i < 0 {
		return nil
	}
	return &excuses[i]
}

func (e excuse) isOf(o outcome) bool {
	return e.file == o.decision.File && e.function == o.decision.Function && e.text == o.decision.Text && e.result == o.result
}
