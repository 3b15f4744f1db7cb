// Package wire is a link between two network namespaces that can be bad on purpose: it loses, doubles, delays and reorders frames,
// as netem does on kernels that have it. Each end is a TAP device, and this process carries the frames between them.
//
// TAP devices take no segments for hardware to cut and no checksums for it to finish, so what passes is what would be on a cable,
// and their driver runs XDP and takes frames from it.
package wire
