// Package ethtool switches what interfaces of a lab do by themselves. All functions work in the network namespace of the calling
// thread.
package ethtool

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Commands of SIOCETHTOOL (include/uapi/linux/ethtool.h).
const (
	setTxChecksum = 0x17 // ETHTOOL_STXCSUM
	setGRO        = 0x2c // ETHTOOL_SGRO
)

// ReadyForXDP readies the other end of a veth for one that runs XDP: it finishes checksums itself, since XDP cannot, and it
// polls, without which it takes no frames from XDP.
func ReadyForXDP(peer string) error {
	if err := TxChecksum(peer, false); err != nil {
		return err
	}
	return GRO(peer, true)
}

// TxChecksum has the interface leave checksums to hardware, or not.
func TxChecksum(name string, on bool) error { return set(name, setTxChecksum, on) }

// GRO has the interface join segments that it receives, or not.
func GRO(name string, on bool) error { return set(name, setGRO, on) }

func set(name string, command uint32, on bool) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("ethtool %s: %w", name, err)
	}
	defer func() { _ = unix.Close(fd) }()
	value := struct{ command, data uint32 }{command: command}
	if on {
		value.data = 1
	}
	var request struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	request.data = unsafe.Pointer(&value)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return fmt.Errorf("ethtool %s: %w", name, errno)
	}
	return nil
}
