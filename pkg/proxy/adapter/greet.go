package adapter

import (
	"time"

	"waggle/pkg/proxy/proxyproto"
	"waggle/pkg/sample"
)

// greet reads the PROXY header at the start of a connection, and takes the addresses over that it tells. What has come
// behind it is kept for Read. The time for it is that for a handshake; 0 is without end.
func (c *Conn) greet(wait time.Duration) sample.ConnError {
	if wait > 0 {
		_ = c.SetReadDeadline(time.Now().Add(wait))
		defer func() { _ = c.SetReadDeadline(time.Time{}) }()
	}
	var buf [proxyproto.MaxHeader]byte
	got := 0
	for {
		n, err := c.file.Read(buf[got:])
		if n == 0 && err != nil {
			return readFault(err, got)
		}
		got += n
		h, size, err := proxyproto.Parse(buf[:got])
		switch {
		case err != nil:
			return HeaderFault(err)
		case size > 0:
			if !h.Local {
				c.src, c.dst = h.Src, h.Dst
			}
			c.ahead = append([]byte(nil), buf[size:got]...)
			return sample.ConnOK
		case got == len(buf):
			return sample.ProxyMalformed
		}
	}
}
