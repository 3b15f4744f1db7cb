package wire

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Tap makes a TAP device in the network namespace of the calling thread. What is written to the file comes in by the device, and
// what goes out by it can be read, frame by frame. The device goes with the file, which is the caller's.
func Tap(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make TAP device %s: %w", name, err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true) // for Go's poller, and for XDP, which the driver runs for writers that do not wait
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("make TAP device %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// setCarrier has a TAP device find a cable plugged in, or not.
func setCarrier(f *os.File, on bool) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	value := 0
	if on {
		value = 1
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.IoctlSetPointerInt(int(fd), unix.TUNSETCARRIER, value) })
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("set the carrier of %s: %w", f.Name(), err)
	}
	return nil
}
