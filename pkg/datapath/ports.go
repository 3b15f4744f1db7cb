package datapath

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

const (
	portFirst     = 1024
	portLast      = 65535
	localPortFile = "/proc/sys/net/ipv4/ip_local_port_range"
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
	local, err := localPorts()
	if err != nil {
		return portRange{}, err
	}
	return outside(local)
}

// localPorts reads the range that the kernel takes ports of local sockets from. It must run inside the namespace.
func localPorts() (portRange, error) {
	text, err := os.ReadFile(localPortFile)
	if err != nil {
		return portRange{}, fmt.Errorf("read the range of local ports: %w", err)
	}
	local, err := parsePortRange(string(text))
	if err != nil {
		return portRange{}, fmt.Errorf("%s: %w", localPortFile, err)
	}
	return local, nil
}

// overlap says in words what is wrong if local sockets take ports of r; empty if nothing is. A socket that connects to a
// server from a port of a flow would have its answers translated.
func (r portRange) overlap(local portRange) string {
	if local.max < r.min || local.min > r.max {
		return ""
	}
	return fmt.Sprintf("source ports %d-%d meet those of local sockets, %d-%d (sysctl net.ipv4.ip_local_port_range): connections of userspace to the same server can fail", r.min, r.max, local.min, local.max)
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

// outside returns the larger part of the unprivileged ports that local does not cover.
func outside(local portRange) (portRange, error) {
	below := int(local.min) - portFirst
	above := portLast - int(local.max)
	switch {
	case below >= above && below > 0:
		return portRange{portFirst, local.min - 1}, nil
	case above > 0:
		return portRange{local.max + 1, portLast}, nil
	}
	return portRange{}, fmt.Errorf("local sockets use all ports %d-%d (sysctl net.ipv4.ip_local_port_range): none is left for the kernel path", local.min, local.max)
}
