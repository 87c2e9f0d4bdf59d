// Package kubernetes holds the manifests in examples to Kubernetes' own schema, the one of
// 1.21: what it has, every later version takes.
package kubernetes

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/kyaml/openapi"
)

// strict changes a definition of Kubernetes' OpenAPI so that it judges as the API server
// does under --validate=strict: an attribute that is not known is an error, and where text
// or a number may stand both may.
func strict(v any) {
	switch v := v.(type) {
	case map[string]any:
		if v["format"] == "int-or-string" {
			v["type"] = []any{"string", "integer"}
		}
		_, fields := v["properties"]
		if _, open := v["additionalProperties"]; fields && v["type"] == "object" && !open {
			v["additionalProperties"] = false
		}
		for _, inner := range v {
			strict(inner)
		}
	case []any:
		for _, inner := range v {
			strict(inner)
		}
	}
}

// schemas compiles the schema of a kind when it is asked for.
func schemas(t *testing.T) func(apiVersion, kind string) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(map[string]any{"definitions": openapi.Schema().Definitions})
	if err != nil {
		t.Fatal(err)
	}
	all, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	strict(all)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4)
	if err := compiler.AddResource("kubernetes.json", all); err != nil {
		t.Fatal(err)
	}
	return func(apiVersion, kind string) *jsonschema.Schema {
		group, version, ok := strings.Cut(apiVersion, "/")
		if !ok {
			group, version = "core", apiVersion
		}
		s, err := compiler.Compile("kubernetes.json#/definitions/io.k8s.api." + group + "." + version + "." + kind)
		if err != nil {
			t.Fatalf("Kubernetes has no %s of %s: %v", kind, apiVersion, err)
		}
		return s
	}
}

func TestManifests(t *testing.T) {
	files, err := filepath.Glob("../../examples/kubernetes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d manifests, %v", len(files), err)
	}
	schema := schemas(t)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		kinds := 0
		for documents := yaml.NewDecoder(strings.NewReader(string(text))); ; kinds++ {
			var d any
			if err := documents.Decode(&d); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			head := d.(map[string]any)
			if err := schema(head["apiVersion"].(string), head["kind"].(string)).Validate(d); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
		if kinds == 0 {
			t.Errorf("%s is empty", file)
		}
	}
}

// TestMistakesAreFound breaks the manifest, so that a schema that lets everything pass is
// noticed.
func TestMistakesAreFound(t *testing.T) {
	text, err := os.ReadFile("../../examples/kubernetes/cronjob.yaml")
	if err != nil {
		t.Fatal(err)
	}
	schema := schemas(t)
	_, job, _ := strings.Cut(string(text), "kind: CronJob\n")
	for right, wrong := range map[string]string{
		"concurrencyPolicy:": "concurrency:",
		"backoffLimit: 0":    "backoffLimit: none",
		"  schedule: ":       "  # schedule: ",
		"drop: [ALL]":        "drop: ALL",
		"mountPath: /etc":    "path: /etc",
	} {
		if strings.Count(job, right) != 1 {
			t.Fatalf("%q stands %d times in the manifest", right, strings.Count(job, right))
		}
		var d any
		if err := yaml.Unmarshal([]byte("apiVersion: batch/v1\nkind: CronJob\n"+strings.Replace(job, right, wrong, 1)), &d); err != nil {
			t.Fatal(err)
		}
		if schema("batch/v1", "CronJob").Validate(d) == nil {
			t.Errorf("%q passes", wrong)
		}
	}
}
