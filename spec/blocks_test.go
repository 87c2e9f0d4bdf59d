package spec

import "testing"

// Every row of the table must find the field that it sets in every block that
// it may stand in.
func TestAttributesHaveFields(t *testing.T) {
	targets := []target{
		new(fileBlock).target(), new(caBlock).target(), new(defaultsBlock).target(), new(userBlock).target(),
		new(rosterBlock).target(), new(guardBlock).target(), new(crlBlock).target(), new(userBlock).target().subject(), new(movedBlock).target(),
		new(sealBlock).target(), new(userBlock).target().sealFor(), new(defaultsBlock).target().sealFor(),
	}
	placed := map[string]bool{}
	for _, to := range targets {
		for name, row := range rows[to.in] {
			placed[name] = true
			func() {
				defer func() {
					if problem := recover(); problem != nil {
						t.Errorf("%s has no field for %s: %v", to.in.title(), name, problem)
					}
				}()
				row.read(newLoader(t.Context(), &Sources{files: map[string]*source{}}, "spec.hcl", "/"), to, value{})
			}()
		}
	}
	for _, a := range attributes {
		if !placed[a.name] {
			t.Errorf("no block takes %s", a.name)
		}
	}
}
