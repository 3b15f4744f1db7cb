package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"waggle/pkg/lab"
)

// bare is the least that an eBPF program at waggle's place can do and still get packets to servers and back: it looks nothing up, remembers
// and counts nothing, and every number in it is a constant of this stage. The client's port chooses the server and goes through as it is. That
// serves one client, so it is no balancer; it bounds what any program there can reach.
func bare(_ context.Context, st *stage) error {
	balancer := st.lab.Balancer
	outer, err := findLeg(balancer.Host, balancer.Addr())
	if err != nil {
		return err
	}
	inner, err := findLeg(balancer.Host, balancer.OverlayAddr())
	if err != nil {
		return err
	}
	client, err := findLeg(st.lab.Node, st.lab.Node.Addr()) // the next hop to it
	if err != nil {
		return err
	}
	client.addr = st.lab.Client.Addr()
	var servers []leg
	for _, task := range st.tasks {
		server, err := findLeg(task.Host, task.Addr())
		if err != nil {
			return err
		}
		servers = append(servers, server)
	}
	return errors.Join(
		st.attach(outer, bareProgram(outer.addr, destinationPort, servers, inner)),
		st.attach(inner, bareProgram(inner.addr, sourcePort, []leg{client}, outer)))
}

// leg is an interface and an address of it.
type leg struct {
	addr  netip.Addr
	mac   []byte
	index int
}

func findLeg(h *lab.Host, addr netip.Addr) (found leg, err error) {
	err = h.Do(func() error {
		addrs, err := netlink.AddrList(nil, netlink.FAMILY_V4)
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if !a.IP.Equal(addr.AsSlice()) {
				continue
			}
			l, err := netlink.LinkByIndex(a.LinkIndex)
			if err != nil {
				return err
			}
			found = leg{addr, l.Attrs().HardwareAddr, a.LinkIndex}
			return nil
		}
		return errors.New("there is none")
	})
	if err != nil {
		return leg{}, fmt.Errorf("find the interface of %s in %s: %w", addr, h.Name(), err)
	}
	return found, nil
}

// attach puts a program on an interface of the balancer until the stage is closed.
func (st *stage) attach(at leg, code asm.Instructions) error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "bare", Type: ebpf.SchedCLS, License: "Dual BSD/GPL", Instructions: code})
	if err != nil {
		return fmt.Errorf("load the bare program: %w", err)
	}
	defer prog.Close() // the link keeps it
	return st.lab.Balancer.Do(func() error {
		l, err := link.AttachTCX(link.TCXOptions{Interface: at.index, Program: prog, Attach: ebpf.AttachTCXIngress})
		if err != nil {
			return fmt.Errorf("attach the bare program: %w", err)
		}
		st.links = append(st.links, l)
		return nil
	})
}

// Offsets in a packet of TCP over IPv4 without options.
const (
	etherType, ipVersion, ipTTL, ipProtocol, ipCheck = 12, 14, 22, 23, 24
	ipSource, ipDestination                          = 26, 30
	sourcePort, destinationPort                      = 34, 36
	tcpCheck, tcpEnd                                 = 50, 54
)

// Of struct __sk_buff, and what a program returns to leave a packet alone.
const (
	skbData, skbDataEnd = 76, 80
	tcxNext             = -1
	pseudoHeader        = 1 << 4 // BPF_F_PSEUDO_HDR
)

// bareProgram sends the TCP packets to addr, from or to the servers' port at the offset portAt, on to one of to, by the port of the
// client, as from out.
func bareProgram(addr netip.Addr, portAt int16, to []leg, out leg) asm.Instructions {
	load := func(dst asm.Register, off int16, size asm.Size) asm.Instruction {
		return asm.LoadMem(dst, asm.R7, off, size)
	}
	store := func(off int16, src asm.Register, size asm.Size) asm.Instruction {
		return asm.StoreMem(asm.R7, off, src, size)
	}
	code := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R7, asm.R6, skbData, asm.Word), asm.LoadMem(asm.R8, asm.R6, skbDataEnd, asm.Word),
		asm.Mov.Reg(asm.R2, asm.R7), asm.Add.Imm(asm.R2, tcpEnd), asm.JGT.Reg(asm.R2, asm.R8, "next"),
		load(asm.R2, etherType, asm.Half), asm.JNE.Imm(asm.R2, 0x0008, "next"),
		load(asm.R2, ipVersion, asm.Byte), asm.JNE.Imm(asm.R2, 0x45, "next"),
		load(asm.R2, ipProtocol, asm.Byte), asm.JNE.Imm(asm.R2, 6, "next"),
		load(asm.R2, ipDestination, asm.Word), asm.JNE.Imm32(asm.R2, word(addr.AsSlice()), "next"),
		load(asm.R2, portAt, asm.Half), asm.HostTo(asm.BE, asm.R2, asm.Half), asm.JNE.Imm(asm.R2, port, "next"),
		load(asm.R2, sourcePort, asm.Half), asm.HostTo(asm.BE, asm.R2, asm.Half), asm.Mod.Imm(asm.R2, int32(len(to))),
	}
	for i, hop := range to {
		code = append(code, asm.JNE.Imm(asm.R2, int32(i), after(i)), asm.Mov.Imm32(asm.R9, word(hop.addr.AsSlice())),
			asm.StoreImm(asm.R7, 0, int64(word(hop.mac)), asm.Word), asm.StoreImm(asm.R7, 4, int64(word([]byte{hop.mac[4], hop.mac[5], out.mac[0], out.mac[1]})), asm.Word),
			asm.Ja.Label("chosen"), asm.Mov.Imm(asm.R0, tcxNext).WithSymbol(after(i)))
	}
	source := word(out.addr.AsSlice())
	code = append(code,
		asm.Mov.Imm(asm.R0, tcxNext).WithSymbol("next"), asm.Return(),
		asm.StoreImm(asm.R7, 8, int64(word(out.mac[2:])), asm.Word).WithSymbol("chosen"),
		// R4 is by how much the sum of the addresses changes.
		load(asm.R4, ipSource, asm.Word), asm.Xor.Imm32(asm.R4, -1),
		load(asm.R3, ipDestination, asm.Word), asm.Xor.Imm32(asm.R3, -1), asm.Add.Reg(asm.R4, asm.R3),
		asm.Mov.Imm32(asm.R5, source), asm.Add.Reg(asm.R4, asm.R5), asm.Add.Reg(asm.R4, asm.R9),
		store(ipSource, asm.R5, asm.Word), store(ipDestination, asm.R9, asm.Word),
		asm.Mov.Reg32(asm.R3, asm.R4), asm.RSh.Imm(asm.R4, 32), asm.Add.Reg(asm.R4, asm.R3),
		asm.Mov.Reg32(asm.R3, asm.R4), asm.RSh.Imm(asm.R4, 32), asm.Add.Reg(asm.R4, asm.R3),
		load(asm.R2, ipTTL, asm.Byte), asm.Sub.Imm(asm.R2, 1), store(ipTTL, asm.R2, asm.Byte),
		load(asm.R2, ipCheck, asm.Half), asm.Xor.Imm(asm.R2, 0xffff), asm.Add.Reg(asm.R2, asm.R4), asm.Add.Imm(asm.R2, 0xfffe), // TTL less 1
	)
	for range 3 {
		code = append(code, asm.Mov.Reg(asm.R3, asm.R2), asm.And.Imm(asm.R3, 0xffff), asm.RSh.Imm(asm.R2, 16), asm.Add.Reg(asm.R2, asm.R3))
	}
	return append(code,
		asm.Xor.Imm(asm.R2, 0xffff), store(ipCheck, asm.R2, asm.Half),
		asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Imm(asm.R2, tcpCheck), asm.Mov.Imm(asm.R3, 0), asm.Mov.Imm(asm.R5, pseudoHeader), asm.FnL4CsumReplace.Call(),
		asm.Mov.Imm(asm.R1, int32(out.index)), asm.Mov.Imm(asm.R2, 0), asm.FnRedirect.Call(), asm.Return())
}

// after is the label behind the i'th of the hops.
func after(i int) string { return "after-" + strconv.Itoa(i) }

// word is four bytes as the program loads them.
func word(b []byte) int32 {
	return int32(binary.LittleEndian.Uint32(b))
}
