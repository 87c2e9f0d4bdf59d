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
	"regexp"
	"unicode"
	"unicode/utf16"

	"gopkg.in/yaml.v3"

	"mtlsplan/engine"
	"mtlsplan/internal/pki"
	"mtlsplan/internal/plan"
)

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
		node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: cleanBlock(t)}
		if oldBool.MatchString(t) {
			node.Style = yaml.DoubleQuotedStyle
		}
		return node, nil
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: t.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(t)}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
}

// oldBool are texts that YAML 1.1 takes for a boolean, as many readers still do.
var oldBool = regexp.MustCompile(`^(?i:y|yes|n|no|on|off)$`)

// ApplyDocument is the document of an apply; stopped is why it ended early, or
// nil.
func ApplyDocument(r *engine.Report, stopped *plan.ErrorDetail) plan.ApplyDocument {
	return plan.NewApplyDocument(r.Plan, r.Done, r.Failures, stopped)
}

// ShowDocument is the document of one owner in full.
func ShowDocument(d *plan.Details) plan.ShowDocument {
	var certificates []plan.CertificateDetail
	for _, c := range d.Certificates {
		certificates = append(certificates, certificateDetail(c))
	}
	return plan.NewShowDocument(d, certificates)
}

func certificateDetail(c *x509.Certificate) plan.CertificateDetail {
	sum := sha256.Sum256(c.Raw)
	sans := []plan.SANDetail{}
	for _, s := range pki.SANs(c) {
		sans = append(sans, plan.SANDetail{Type: string(s.Type), Value: s.Value})
	}
	return plan.CertificateDetail{
		Serial:    pki.SerialHex(c.SerialNumber),
		Subject:   pki.NameString(c.RawSubject),
		Issuer:    pki.NameString(c.RawIssuer),
		NotBefore: plan.Seconds(c.NotBefore),
		NotAfter:  plan.Seconds(c.NotAfter),
		SANs:      sans,
		SHA256:    hex.EncodeToString(sum[:]),
		PEM:       string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})),
	}
}
