package spec

// BlockDoc is one kind of block, for the reference.
type BlockDoc struct {
	Name       string // "" for the file itself
	Labeled    bool
	In         []string // the blocks that it may be in; none: the file
	Doc        string
	Attributes []AttributeDoc
}

// AttributeDoc is one attribute of a block.
type AttributeDoc struct {
	Name    string
	Default string
	Doc     string
}

// Reference is the whole language except the proxies' blocks, which are rows in
// render.
func Reference() []BlockDoc {
	docs := []BlockDoc{{Attributes: attributesIn(inFile)}}
	for _, b := range blocks {
		doc := BlockDoc{Name: b.name, Labeled: b.labeled, Doc: b.doc, Attributes: attributesIn(b.is)}
		for _, outer := range blocks {
			if b.in&outer.is != 0 {
				doc.In = append(doc.In, outer.name)
			}
		}
		docs = append(docs, doc)
	}
	return docs
}

func attributesIn(where scope) []AttributeDoc {
	var docs []AttributeDoc
	for _, a := range attributes {
		if a.in&where != 0 {
			docs = append(docs, AttributeDoc{a.name, a.initial, a.doc})
		}
	}
	return docs
}
