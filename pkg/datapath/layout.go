package datapath

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// layoutVersion is for changes of meaning that the types do not show: count it up with one.
const layoutVersion = 1

// layoutPrefix begins the name of the directory of pins.
const layoutPrefix = "layout-"

// sizedByOptions are the maps whose size is not part of the layout.
var sizedByOptions = []string{lbMapWgFlows, lbMapWgRing, lbMapWgEvents}

// layoutOf names what the maps of a program and of its book mean: shape and types of each of them, down to the values of
// enumerations. A program can work on the maps of another one exactly if the names are equal. It is computed, so that nobody can
// forget it.
func layoutOf(maps map[string]*ebpf.MapSpec, book []*ebpf.MapSpec) string {
	digest := sha256.New()
	fmt.Fprintln(digest, layoutVersion)
	var names []string
	for name := range maps {
		if !strings.HasPrefix(name, ".") { // sections of constants, which each load has by itself
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		describeMap(digest, name, maps[name])
	}
	for _, m := range book {
		describeMap(digest, m.Name, m)
	}
	return layoutPrefix + hex.EncodeToString(digest.Sum(nil)[:6])
}

func describeMap(w io.Writer, name string, m *ebpf.MapSpec) {
	size := m.MaxEntries
	if slices.Contains(sizedByOptions, name) {
		size = 0
	}
	fmt.Fprintln(w, name, m.Type, m.KeySize, m.ValueSize, m.Flags, size)
	describeType(w, m.Key)
	describeType(w, m.Value)
	if m.InnerMap != nil {
		describeMap(w, "inner", m.InnerMap)
	}
}

// describeType writes a type with all that it consists of. Types of maps have no pointers, so there is no end to miss.
func describeType(w io.Writer, t btf.Type) {
	switch t := t.(type) {
	case nil:
	case *btf.Struct:
		fmt.Fprintln(w, "struct", t.Name, t.Size)
		for _, m := range t.Members {
			fmt.Fprintln(w, m.Name, m.Offset)
			describeType(w, m.Type)
		}
	case *btf.Union:
		fmt.Fprintln(w, "union", t.Name, t.Size)
		for _, m := range t.Members {
			fmt.Fprintln(w, m.Name)
			describeType(w, m.Type)
		}
	case *btf.Enum:
		fmt.Fprintln(w, "enum", t.Name, t.Size)
		for _, v := range t.Values {
			fmt.Fprintln(w, v.Name, v.Value)
		}
	case *btf.Array:
		fmt.Fprintln(w, "array", t.Nelems)
		describeType(w, t.Type)
	case *btf.Typedef:
		describeType(w, t.Type)
	case *btf.Volatile:
		describeType(w, t.Type)
	case *btf.Const:
		describeType(w, t.Type)
	case *btf.Int:
		fmt.Fprintln(w, "int", t.Size, t.Encoding)
	default:
		fmt.Fprintf(w, "%T %s\n", t, t.TypeName())
	}
}
