package proxy

import "waggle/pkg/pool"

// trafficOf is what a response's status says of its server (HAProxy, section 5.2, observe): 5xx is an error, except for
// those that are about the request.
func trafficOf(status int) pool.Traffic {
	if status >= 500 && status != 501 && status != 505 {
		return pool.TrafficStatus
	}
	return pool.TrafficResponse
}
