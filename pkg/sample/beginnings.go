package sample

import (
	"slices"
	"strings"
)

// beginnings finds the longest text that another one begins with, in a time that depends on the length of that one alone: a tree
// whose branches share what they have in common. Its depth is bounded by the longest text.
type beginnings struct {
	text     string // what this node adds to its parent's
	elements []*element
	children []*beginnings // in the order of the first byte of their texts
}

func (t *beginnings) add(text string, e *element) {
	for text != "" {
		i, found := t.child(text[0])
		if !found {
			t.children = slices.Insert(t.children, i, &beginnings{text: text, elements: []*element{e}})
			return
		}
		next := t.children[i]
		common := commonLength(text, next.text)
		if common < len(next.text) { // the branch forks here
			t.children[i] = &beginnings{text: next.text[:common], children: []*beginnings{next}}
			next.text = next.text[common:]
			next = t.children[i]
		}
		t, text = next, text[common:]
	}
	t.elements = append(t.elements, e)
}

// remove takes an element out, and with it the nodes that are of no use any more.
func (t *beginnings) remove(text string, e *element) {
	var path []*beginnings
	for at := t; ; {
		path = append(path, at)
		if text == "" {
			at.elements = slices.DeleteFunc(at.elements, func(other *element) bool { return other == e })
			break
		}
		i, found := at.child(text[0])
		if !found || !strings.HasPrefix(text, at.children[i].text) {
			return
		}
		at = at.children[i]
		text = text[len(at.text):]
	}
	for n := len(path) - 1; n > 0; n-- {
		at, parent := path[n], path[n-1]
		if len(at.elements) > 0 || len(at.children) > 1 {
			return
		}
		i, _ := parent.child(at.text[0])
		if len(at.children) == 1 {
			only := at.children[0]
			only.text = at.text + only.text
			parent.children[i] = only
			return
		}
		parent.children = slices.Delete(parent.children, i, i+1)
	}
}

// longest gives the first element of the longest text that b begins with.
func (t *beginnings) longest(b []byte) *element {
	var found *element
	for {
		if len(t.elements) > 0 {
			found = t.elements[0]
		}
		if len(b) == 0 {
			return found
		}
		i, ok := t.child(b[0])
		if !ok {
			return found
		}
		next := t.children[i]
		if len(b) < len(next.text) || string(b[:len(next.text)]) != next.text {
			return found
		}
		t, b = next, b[len(next.text):]
	}
}

func (t *beginnings) child(first byte) (int, bool) {
	return slices.BinarySearchFunc(t.children, first, func(c *beginnings, b byte) int { return int(c.text[0]) - int(b) })
}

func commonLength(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
