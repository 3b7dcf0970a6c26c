package mturk

import (
	"strings"
	"testing"
)

// plain and not so plain documents, and what is their root; "": they are not well-formed.
var documents = []struct {
	doc, root string
	plain     bool
}{
	{`<A/>`, "A", true},
	{`<A b="c" d1="" />`, "A", true},
	{"<HTMLQuestion xmlns=\"http://example.com/x.xsd\">\n <HTMLContent><![CDATA[<p>1 < 2 && 3 ]] > 4</p>]]></HTMLContent>\n<H>450</H></HTMLQuestion>", "HTMLQuestion", true},
	{question, "ExternalQuestion", true},
	{"\r\n <A/>\t\n", "A", true},
	{`<A/><B/>`, "", false},
	{`<A></A><A></A>`, "", false},
	{`<A/>b`, "", false},
	{`<A/>&amp;`, "", false},
	{`a<A/>`, "", false},
	{`<A/><![CDATA[b]]>`, "", false},
	{`<![CDATA[b]]><A/>`, "", false},
	{"\ufeff<A/><!-- b -->", "A", false},
	{`<A b="1&amp;2&quot;">a&lt;b&gt;&apos;</A>`, "A", true},
	{`<A><![CDATA[a&b]]></A>`, "A", true},
	{`<A>&#228;</A>`, "A", false},
	{`<A>a & b</A>`, "", false},
	{`<A b="&c;"/>`, "", false},
	{`<A>ä</A>`, "A", false},
	{`<A b='c'/>`, "A", false},
	{`<a:A xmlns:a="b"></a:A>`, "A", false},
	{`<?xml version="1.0"?><A><!-- b --></A >`, "A", false},
	{`<A_1/>`, "A_1", false},
	{`<A b="c"d="e"/>`, "A", false},
	{`<A>]]></A>`, "", false},
	{`<A><B></A></B>`, "", false},
	{`<A b="<"/>`, "", false},
	{`<A b=c/>`, "", false},
	{`<A b/>`, "", false},
	{`<A><![CDATA[</A>`, "", false},
	{`<A>`, "", false},
	{`</A>`, "", false},
	{`<A`, "", false},
	{`<A b="`, "", false},
	{"<A>\x01</A>", "", false},
	{`< A/>`, "", false},
	{`<A/`, "", false},
	{`<A/ >`, "", false},
	{`&`, "", false},
	{`text`, "", false},
}

func TestDocuments(t *testing.T) {
	for _, d := range documents {
		root, plain := plainXML(d.doc)
		if plain != d.plain || plain && root != d.root {
			t.Errorf("plainXML(%q) = %q, %v", d.doc, root, plain)
		}
		if root := rootOf(d.doc); root != d.root {
			t.Errorf("rootOf(%q) = %q, want %q", d.doc, root, d.root)
		}
	}
}

// What is plain is what an XML decoder takes it for.
func FuzzPlainXML(f *testing.F) {
	for _, d := range documents {
		f.Add(d.doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		if root, plain := plainXML(doc); plain && root != rootOf(doc) {
			t.Errorf("plainXML says %q, a decoder %q", root, rootOf(doc))
		}
	})
}

func BenchmarkCheckQuestion(b *testing.B) {
	for _, q := range []struct{ name, doc string }{{"plain", question}, {"decoded", strings.Replace(question, ">", "><!-- -->", 1)}} {
		b.Run(q.name, func(b *testing.B) {
			for b.Loop() {
				must(b, checkQuestion(q.doc))
			}
		})
	}
}
