package datapath

import (
	"errors"
	"testing"
)

func TestSourcePorts(t *testing.T) {
	for _, tt := range []struct {
		text, reserved string
		want           portRange
		ok             bool
	}{
		{"32768\t60999\n", "", portRange{1024, 32767}, true},
		{"61000 65535", "", portRange{1024, 60999}, true},
		{"1024 30000", "", portRange{30001, 65535}, true},
		{"2000 60000", "", portRange{60001, 65535}, true},
		{"1024 65535", "", portRange{}, false},
		{"1 65535", "", portRange{}, false},
		{"32768", "", portRange{}, false},
		{"a b", "", portRange{}, false},
		{"1 65536", "", portRange{}, false},
		{"1024 65535", "20000-39999\n", portRange{20000, 39999}, true},
		{"1024 65535", "8080,30000-30009,40000-40019", portRange{40000, 40019}, true},
		{"32768 60999", "32768-32800", portRange{1024, 32800}, true}, // what is reserved goes on where the free ones end
		{"1024 65535", "20000-", portRange{}, false},
	} {
		ports, err := parsePortRange(tt.text)
		reserved, err2 := parsePortList(tt.reserved)
		err = errors.Join(err, err2)
		var got portRange
		if err == nil {
			got, err = localPorts{ports, reserved}.free()
		}
		if (err == nil) != tt.ok || err == nil && got != tt.want {
			t.Errorf("%q, reserved %q: %v, %v; want %v", tt.text, tt.reserved, got, err, tt.want)
		}
	}
}

func TestSourcePortsOfOptions(t *testing.T) {
	got, err := sourcePorts(Options{PortMin: 2000, PortMax: 2999})
	if err != nil || got != (portRange{2000, 2999}) || got.size() != 1000 {
		t.Errorf("%v, %v", got, err)
	}
	local, err := readLocalPorts()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := sourcePorts(Options{}); err != nil || got.overlap(local) != "" {
		t.Errorf("%v, %v; local sockets take %v", got, err, local)
	}
	for _, o := range []Options{{PortMin: 3000, PortMax: 2000}, {PortMax: 2000}, {PortMin: 2000}} {
		if got, err := sourcePorts(o); err == nil {
			t.Errorf("%d-%d was taken for %v", o.PortMin, o.PortMax, got)
		}
	}
}
