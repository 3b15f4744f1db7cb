package datapath

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	portFirst     = 1024
	portLast      = 65535
	localPortFile = "/proc/sys/net/ipv4/ip_local_port_range"
	reservedFile  = "/proc/sys/net/ipv4/ip_local_reserved_ports"
)

// portRange is a range of ports, both ends included.
type portRange struct {
	min, max uint16
}

func (r portRange) size() uint32 { return uint32(r.max) - uint32(r.min) + 1 }

// sourcePorts returns the range to claim source ports from: the options' if given, else the one that local sockets
// leave free. It must run inside the namespace.
func sourcePorts(o Options) (portRange, error) {
	if o.PortMin != 0 || o.PortMax != 0 {
		if o.PortMin == 0 || o.PortMax < o.PortMin {
			return portRange{}, fmt.Errorf("source ports %d-%d: not a range", o.PortMin, o.PortMax)
		}
		return portRange{o.PortMin, o.PortMax}, nil
	}
	local, err := readLocalPorts()
	if err != nil {
		return portRange{}, err
	}
	return local.free()
}

// localPorts are the ports that the kernel gives to local sockets that ask for none: a range, less those that are reserved
// for who asks for them.
type localPorts struct {
	portRange
	reserved []portRange
}

// readLocalPorts must run inside the namespace.
func readLocalPorts() (l localPorts, err error) {
	text, err := os.ReadFile(localPortFile)
	if err != nil {
		return l, fmt.Errorf("read the range of local ports: %w", err)
	}
	if l.portRange, err = parsePortRange(string(text)); err != nil {
		return l, fmt.Errorf("%s: %w", localPortFile, err)
	}
	if text, err = os.ReadFile(reservedFile); err != nil {
		return l, fmt.Errorf("read the reserved ports: %w", err)
	}
	if l.reserved, err = parsePortList(string(text)); err != nil {
		return l, fmt.Errorf("%s: %w", reservedFile, err)
	}
	return l, nil
}

// gives tells whether a socket that asks for no port may be given this one.
func (l localPorts) gives(port uint16) bool {
	return l.has(port) && !slices.ContainsFunc(l.reserved, func(r portRange) bool { return r.has(port) })
}

func (r portRange) has(port uint16) bool { return r.min <= port && port <= r.max }

// overlap says in words what is wrong if local sockets take ports of r; empty if nothing is. A socket that connects to a
// server from a port of a flow would have its answers translated.
func (r portRange) overlap(local localPorts) string {
	for port := int(r.min); port <= int(r.max); port++ {
		if local.gives(uint16(port)) {
			return fmt.Sprintf("source ports %d-%d meet those of local sockets, %d-%d (sysctl net.ipv4.ip_local_port_range): connections of userspace to the same server can fail; reserve some for the kernel path (ip_local_reserved_ports)", r.min, r.max, local.min, local.max)
		}
	}
	return ""
}

func parsePortRange(text string) (portRange, error) {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return portRange{}, fmt.Errorf("%q: want two ports", text)
	}
	lo, err := strconv.ParseUint(fields[0], 10, 16)
	if err != nil {
		return portRange{}, fmt.Errorf("first port: %w", err)
	}
	hi, err := strconv.ParseUint(fields[1], 10, 16)
	if err != nil {
		return portRange{}, fmt.Errorf("last port: %w", err)
	}
	return portRange{uint16(lo), uint16(hi)}, nil
}

// parsePortList reads a list as the kernel prints it: "8080,9000-9100", or nothing.
func parsePortList(text string) (list []portRange, err error) {
	for word := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		if word == "" {
			continue
		}
		low, high, ok := strings.Cut(word, "-")
		if !ok {
			high = low
		}
		r, err := parsePortRange(low + " " + high)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// free returns the longest range of unprivileged ports that no socket is given.
func (l localPorts) free() (longest portRange, err error) {
	size, first := 0, portFirst
	for port := portFirst; port <= portLast+1; port++ {
		if port <= portLast && !l.gives(uint16(port)) {
			continue
		}
		if port-first > size {
			size, longest = port-first, portRange{uint16(first), uint16(port - 1)}
		}
		first = port + 1
	}
	if size == 0 {
		return longest, fmt.Errorf("local sockets use all ports %d-%d (sysctl net.ipv4.ip_local_port_range): none is left for the kernel path; reserve some (ip_local_reserved_ports)", l.min, l.max)
	}
	return longest, nil
}
