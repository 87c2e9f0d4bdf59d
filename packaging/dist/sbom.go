package main

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
)

// bill writes a bill of materials, CycloneDX 1.6: the modules that the Go toolchain has
// recorded in the program itself, and Go's own library. go.sum's h1 is a SHA-256 over the
// names and sums of a module's files, so it goes into a property and not among the hashes,
// which are of one file.
func (r *release) bill(b build) error {
	bom := cyclonedx.NewBOM()
	main := component("mtlsplan", r.version)
	main.Type = cyclonedx.ComponentTypeApplication
	bom.Metadata = &cyclonedx.Metadata{Timestamp: r.at.Format("2006-01-02T15:04:05Z"), Component: &main}
	std := component("std", strings.TrimPrefix(b.info.GoVersion, "go"))
	all := []cyclonedx.Component{std}
	uses := []string{std.BOMRef}
	for _, m := range b.info.Deps {
		c := component(m.Path, m.Version)
		if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil {
			c.Properties = &[]cyclonedx.Property{{Name: "mtlsplan:go:h1", Value: hex.EncodeToString(sum)}}
		}
		all = append(all, c)
		uses = append(uses, c.BOMRef)
	}
	bom.Components = &all
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: main.BOMRef, Dependencies: &uses}}
	w, err := os.Create(r.name(b, ".cdx.json"))
	if err != nil {
		return err
	}
	if err := cyclonedx.NewBOMEncoder(w, cyclonedx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return err
	}
	return w.Close()
}

// component names a module as package URLs do (purl-spec, golang).
func component(module, version string) cyclonedx.Component {
	url := "pkg:golang/" + strings.ToLower(module) + "@" + version
	return cyclonedx.Component{Type: cyclonedx.ComponentTypeLibrary, BOMRef: url, PackageURL: url, Name: module, Version: version}
}
