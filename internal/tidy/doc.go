// Package tidy is the repository's own rules, kept as a test: where imports may point, where floating point may not
// stand, what every package and page must say.
//
// A rule reads one file and answers with what is wrong in it. The test applies every rule to every tracked file, and
// first to samples that break it, so that no rule is one that cannot fail.
package tidy
