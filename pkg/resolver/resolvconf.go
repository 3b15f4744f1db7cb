package resolver

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"

	"github.com/miekg/dns"
)

const resolvConf = "/etc/resolv.conf"

// addResolvConf adds the nameservers of /etc/resolv.conf, named by their addresses as in HAProxy.
func (r *Resolver) addResolvConf() {
	content, err := r.opts.ReadFile(resolvConf)
	if err != nil {
		r.log.Warn("parse-resolv-conf: file cannot be read", "err", err)
		return
	}
	conf, err := dns.ClientConfigFromReader(bytes.NewReader(content))
	if err != nil {
		r.log.Warn("parse-resolv-conf: file cannot be understood", "file", resolvConf, "err", err)
		return
	}
	port, err := strconv.ParseUint(conf.Port, 10, 16)
	if err != nil {
		port = 53
	}
	for _, word := range conf.Servers {
		addr, err := netip.ParseAddr(word)
		if err != nil {
			r.log.Warn("parse-resolv-conf: nameserver is no address", "nameserver", word)
			continue
		}
		where := server{addr: netip.AddrPortFrom(addr, uint16(port))}
		if !slices.ContainsFunc(r.nameservers, func(ns *nameserver) bool { return ns.addr == where.addr }) {
			r.addNameserver(word, where)
		}
	}
}
