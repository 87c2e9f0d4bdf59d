package proxies

import (
	"reflect"
	"testing"

	"mtlsplan/render"
)

// TestRowsFillSettings: each row fills a field of its own, with a default of
// that field's type, and no field of the settings is left without a row.
func TestRowsFillSettings(t *testing.T) {
	var s render.Settings
	filled := map[any]bool{}
	for _, p := range All {
		own := map[any]string{}
		rows := p.Attributes
		for _, b := range p.Blocks {
			rows = append(rows[:len(rows):len(rows)], b.Attributes...)
		}
		for _, a := range rows {
			field := a.Field(&s)
			switch field.(type) {
			case *string, *[]string, *bool, *map[string]string:
			default:
				t.Errorf("%s: %s fills a %T", p.Name, a.Name, field)
			}
			if other, taken := own[field]; taken {
				t.Errorf("%s: %s fills the field of %s", p.Name, a.Name, other)
			}
			own[field], filled[field] = a.Name, true
			if a.Default != nil && reflect.TypeOf(a.Default) != reflect.TypeOf(field).Elem() {
				t.Errorf("%s: %s has a default of type %T", p.Name, a.Name, a.Default)
			}
		}
	}
	for _, part := range []reflect.Value{reflect.ValueOf(&s).Elem(), reflect.ValueOf(&s.Deploy).Elem()} {
		for i := range part.NumField() {
			if field := part.Field(i); field.Kind() != reflect.Struct && !filled[field.Addr().Interface()] {
				t.Errorf("no row fills %s", part.Type().Field(i).Name)
			}
		}
	}
}
