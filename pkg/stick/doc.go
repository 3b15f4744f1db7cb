// Package stick keeps what clients have done, by a key of theirs such as the address: HAProxy's stick tables, as far as
// they count and know the server that a client sticks to. A table holds at most as many entries as it was made for, and forgets
// what nobody has touched for a while.
package stick
