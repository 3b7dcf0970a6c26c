package mturklegacy

import (
	"slices"
	"strconv"
	"strings"
)

// A node is a parameter of a request and what is in it: by query
// Reward.1.Amount, by SOAP an element Amount in a Reward.
type node struct {
	name     string
	index    int // which one of its name
	value    string
	set      bool // it has a value
	twice    bool // it has two
	children []*node
}

// maxParts is how many names and numbers the name of a parameter has. The
// longest that means anything is QualificationRequirement.1.LocaleValue.1.Country.
const maxParts = 8

// treeOf returns the parameters of a query as a tree: name.number.name.number,
// in which a number may be left out where there is only one. Clients count from
// 1, and some from 0 (rturk).
func treeOf(parameters []parameter) *node {
	root := new(node)
	for _, p := range parameters {
		parts := strings.Split(p.name, ".")
		if len(parts) > maxParts {
			continue // nobody asks for it
		}
		at := root
		for i := 0; i < len(parts); i++ {
			name, index := parts[i], 1
			if i+1 < len(parts) {
				if n, err := strconv.ParseUint(parts[i+1], 10, 31); err == nil {
					index = int(n)
					i++
				}
			}
			at = at.child(name, index)
		}
		at.twice = at.set
		at.value, at.set = p.value, true
	}
	return root
}

// child returns a child, which it makes if there is none.
func (n *node) child(name string, index int) *node {
	for _, c := range n.children {
		if c.index == index && c.name == name {
			return c
		}
	}
	c := &node{name: name, index: index}
	n.children = append(n.children, c)
	return c
}

// add adds a child after all others.
func (n *node) add(name string) *node {
	c := &node{name: name, index: len(n.children) + 1}
	n.children = append(n.children, c)
	return c
}

// all returns the children of a name, in the order of their numbers.
func (n *node) all(name string) (found []*node) {
	for _, c := range n.children {
		if c.name == name {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b *node) int { return a.index - b.index })
	return found
}
