package spec

// BlockDoc is one kind of block, for the reference.
type BlockDoc struct {
	Name        string // "" for the file itself
	Labeled     bool
	In          []string // the blocks that it may be in; none: the file
	Doc         string
	Unsupported string // what this version says of it instead of acting on it; "" where it acts
	Attributes  []AttributeDoc
}

// AttributeDoc is one attribute of a block.
type AttributeDoc struct {
	Name        string
	Default     string
	Doc         string
	Unsupported string
}

// Reference is the whole language except the proxies' blocks, which are rows in
// render.
func Reference() []BlockDoc {
	docs := []BlockDoc{{Attributes: attributesIn(inFile)}}
	for _, b := range blocks {
		doc := BlockDoc{Name: b.name, Labeled: b.labeled, Doc: b.doc, Unsupported: unsupported[b.name], Attributes: attributesIn(b.is)}
		for _, outer := range blocks {
			if b.in&outer.is != 0 {
				doc.In = append(doc.In, outer.name)
			}
		}
		docs = append(docs, doc)
	}
	return docs
}

// Unsupported is what this version says of a proxy's block instead of acting
// on it, "" where it acts.
func Unsupported(block string) string { return unsupported[block] }

func attributesIn(where scope) []AttributeDoc {
	var docs []AttributeDoc
	for _, a := range attributes {
		if a.in&where != 0 {
			docs = append(docs, AttributeDoc{a.name, a.initial, a.doc, unsupported[a.name]})
		}
	}
	return docs
}
