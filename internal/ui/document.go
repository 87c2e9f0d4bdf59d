package ui

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"time"
	"unicode"
	"unicode/utf16"

	"gopkg.in/yaml.v3"

	"mtlsplan/engine"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

// FormatVersion is the version of every JSON and YAML document. It rises when
// a key is removed or changes its meaning, not when one is added.
const FormatVersion = 1

// Document writes v as a JSON or YAML document. Both have the same keys in the
// same order: the YAML is made from the JSON.
func Document(w io.Writer, format string, v any) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	if format != "yaml" {
		_, err := w.Write(escapeJSON(text.Bytes()))
		return err
	}
	dec := json.NewDecoder(&text)
	dec.UseNumber()
	node, err := yamlNode(dec)
	if err != nil {
		return err
	}
	out := yaml.NewEncoder(w)
	out.SetIndent(2)
	if err := out.Encode(node); err != nil {
		return err
	}
	return out.Close()
}

// escapeJSON writes characters that are not printable as \u escapes, which
// encoding/json does for the ASCII ones only. Outside strings there are none
// but line ends.
func escapeJSON(text []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(text) {
		switch {
		case r == '\n' || unicode.IsGraphic(r):
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}

// yamlNode reads the next JSON value as a YAML node. YAML cannot escape every
// character that a terminal acts on, so strings are cleaned instead.
func yamlNode(dec *json.Decoder) (*yaml.Node, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		node := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		if t == '[' {
			node = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		}
		for dec.More() { // a mapping's keys and values alternate
			child, err := yamlNode(dec)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, child)
		}
		_, err := dec.Token()
		return node, err
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: cleanBlock(t)}, nil
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: t.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(t)}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
}

// planDocument is a plan, and with Applied an apply, as programs read it.
type planDocument struct {
	FormatVersion int            `json:"format_version"`
	At            time.Time      `json:"at"`
	Steps         []plan.Step    `json:"steps"`
	Summary       map[string]int `json:"summary"`
	Notes         []plan.Note    `json:"notes"`
	Failures      []plan.Failure `json:"failures"`
	Applied       *[]plan.Owner  `json:"applied,omitempty"`
}

// PlanDocument is the JSON form of a plan.
func PlanDocument(p *plan.Plan) any { return newPlanDocument(p) }

// ApplyDocument is the plan's document with the owners whose steps are done,
// in the order in which they were, and every failure.
func ApplyDocument(r *engine.Report) any {
	doc := newPlanDocument(r.Plan)
	doc.Failures = list(r.Failures)
	applied := []plan.Owner{}
	for _, s := range r.Done {
		applied = append(applied, s.Owner)
	}
	doc.Applied = &applied
	return doc
}

func newPlanDocument(p *plan.Plan) planDocument {
	doc := planDocument{
		FormatVersion: FormatVersion,
		At:            seconds(p.At),
		Steps:         []plan.Step{},
		Summary:       map[string]int{"unchanged": p.Unchanged, "reimports": p.Reimports()},
		Notes:         list(p.Notes),
		Failures:      list(p.Failures),
	}
	for _, s := range p.Steps {
		doc.Steps = append(doc.Steps, stepDocument(s))
	}
	for action, n := range p.Summary() {
		doc.Summary[string(action)] = n
	}
	return doc
}

func stepDocument(s plan.Step) plan.Step {
	s.Artefacts, s.Reasons = list(s.Artefacts), list(s.Reasons)
	if s.NotAfter != nil {
		t := seconds(*s.NotAfter)
		s.NotAfter = &t
	}
	return s
}

// list makes an absent list an empty one: [] and never null.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

type detailsDocument struct {
	FormatVersion int                   `json:"format_version"`
	Owner         plan.Owner            `json:"owner"`
	Certificates  []certificateDocument `json:"certificates"`
	Files         []plan.FileDetail     `json:"files"`
	Issued        []plan.IssuedDetail   `json:"issued"`
	Step          *plan.Step            `json:"step"`
	Failures      []plan.Failure        `json:"failures"`
}

type certificateDocument struct {
	Serial    string    `json:"serial"` // upper-case hex, whole bytes
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Emails    []string  `json:"emails"`
	SHA256    string    `json:"sha256"` // of the DER, lower-case hex
	PEM       string    `json:"pem"`
}

// DetailsDocument is the JSON form of one owner in full.
func DetailsDocument(d *plan.Details) any {
	doc := detailsDocument{
		FormatVersion: FormatVersion,
		Owner:         d.Owner,
		Certificates:  []certificateDocument{},
		Files:         list(d.Files),
		Issued:        list(d.Issued),
		Failures:      list(d.Failures),
	}
	for _, c := range d.Certificates {
		doc.Certificates = append(doc.Certificates, newCertificateDocument(c))
	}
	if d.Step != nil {
		s := stepDocument(*d.Step)
		doc.Step = &s
	}
	return doc
}

func newCertificateDocument(c *x509.Certificate) certificateDocument {
	sum := sha256.Sum256(c.Raw)
	return certificateDocument{
		Serial:    pki.SerialHex(c.SerialNumber),
		Subject:   pki.NameString(c.RawSubject),
		Issuer:    pki.NameString(c.RawIssuer),
		NotBefore: seconds(c.NotBefore),
		NotAfter:  seconds(c.NotAfter),
		Emails:    list(c.EmailAddresses),
		SHA256:    hex.EncodeToString(sum[:]),
		PEM:       string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})),
	}
}
