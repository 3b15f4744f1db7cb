package adapter

import (
	"fmt"
	"time"

	"waggle/pkg/proxy/proxyproto"
)

// greet reads the PROXY header at the start of a connection, and takes the addresses over that it tells. What has come
// behind it is kept for Read. The time for it is that for a handshake; 0 is without end.
func (c *Conn) greet(wait time.Duration) error {
	if wait > 0 {
		_ = c.SetReadDeadline(time.Now().Add(wait))
		defer func() { _ = c.SetReadDeadline(time.Time{}) }()
	}
	var buf [proxyproto.MaxHeader]byte
	got := 0
	for {
		n, err := c.file.Read(buf[got:])
		if got += n; n == 0 && err != nil {
			return fmt.Errorf("read a PROXY header: %w", err)
		}
		h, size, err := proxyproto.Parse(buf[:got])
		switch {
		case err != nil:
			return err
		case size > 0:
			if !h.Local {
				c.src, c.dst = h.Src, h.Dst
			}
			c.ahead = append([]byte(nil), buf[size:got]...)
			return nil
		case got == len(buf):
			return proxyproto.ErrTooLarge
		}
	}
}
