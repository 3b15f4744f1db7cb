package runtimeapi

import (
	"fmt"
	"hash/fnv"
	"strings"

	"waggle/pkg/stick"
)

// tableCommands look at stick tables.
func tableCommands() []command {
	return []command{
		{[]string{"show", "table"}, Operator, "show table [<table> [data.<type> <operator> <value>]… | key <key>]", "stick tables, or the entries of one: all, those whose data are eq, ne, lt, le, gt or ge a value, or that of a key", showTable},
		{[]string{"clear", "table"}, Operator, "clear table <table> [key <key>]", "forget the entries of a stick table, or one, unless they are in use", clearTable},
	}
}

// maxRows bounds how many entries are shown.
const maxRows = 10_000

func (c *session) tables(name string) []*stick.Table {
	var found []*stick.Table
	if c.server.opts.Tables == nil {
		return nil
	}
	for _, t := range c.server.opts.Tables() {
		if name == "" || t.Config().Name == name {
			found = append(found, t)
		}
	}
	return found
}

func showTable(c *session, args []string) string {
	name := word(args, 0)
	found := c.tables(name)
	if name != "" && len(found) == 0 {
		return "No such table\n"
	}
	var filter tableFilter
	if name != "" {
		var complaint string
		if filter, complaint = parseTableFilter(args[1:], found[0].Config()); complaint != "" {
			return complaint
		}
	}
	var out strings.Builder
	for _, t := range found {
		cfg := t.Config()
		var rows []stick.Row
		if name != "" {
			if rows = t.Rows(maxRows, filter.takes); filter.key != "" && len(rows) == 0 {
				continue
			}
		}
		fmt.Fprintf(&out, "# table: %s, type: %s, size:%d, used:%d\n", cfg.Name, cfg.Type, cfg.Size, t.Used())
		for _, r := range rows {
			id := fnv.New32a() // where HAProxy shows an address in memory
			id.Write([]byte(r.Key))
			fmt.Fprintf(&out, "0x%08x: key=%s use=%d exp=%d", id.Sum32(), shownKey(cfg, r.Key), r.Held, r.Left.Milliseconds())
			if r.Server.Name != "" {
				fmt.Fprintf(&out, " server_id=%d", r.Server.ID)
			}
			for _, v := range r.Values {
				if v.Data.Rate() {
					fmt.Fprintf(&out, " %s(%d)=%d", v.Data, v.Period.Milliseconds(), v.Count)
				} else {
					fmt.Fprintf(&out, " %s=%d", v.Data, v.Count)
				}
			}
			if r.Server.Name != "" {
				fmt.Fprintf(&out, " server_key=%s", printable(r.Server.Name))
			}
			out.WriteString("\n")
		}
	}
	return out.String()
}

// shownKey is a key as people read it: of a binary one its bytes in digits.
func shownKey(cfg *stick.Config, key string) string {
	if cfg.Type == "binary" {
		return fmt.Sprintf("%X", key)
	}
	return printable(key)
}

func clearTable(c *session, args []string) string {
	found := c.tables(word(args, 0))
	if word(args, 0) == "" || len(found) == 0 {
		return "No such table\n"
	}
	switch {
	case len(args) == 1:
		found[0].Clear(nil)
	case len(args) == 3 && args[1] == "key" && found[0].Config().Type == "binary":
		return "Removing keys from tables of type other than ip, ipv6, string and integer is not supported\n"
	case len(args) == 3 && args[1] == "key":
		found[0].Clear([]byte(args[2]))
	default:
		return "Optional argument only supports \"key\" and a key.\n"
	}
	return ""
}
